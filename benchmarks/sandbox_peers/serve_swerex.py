"""SWE-ReX behind lines of JSON: a container with its server, Python's prompt in its shell."""

import asyncio
import json
import logging
import os
import sys
import time

from swerex.deployment.docker import DockerDeployment
from swerex.runtime.abstract import BashAction, CreateBashSessionRequest

logging.disable(logging.CRITICAL)
PROMPT = ">>> "
answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)  # what the package prints goes elsewhere


class Peer:
    """One deployment at a time; a reset is a new one, since it has no other."""

    def __init__(self) -> None:
        self.deployment = None

    async def reset(self) -> None:
        await self.close()
        self.deployment = DockerDeployment(image=sys.argv[1], pull="never")
        await self.deployment.start()
        await self.deployment.runtime.create_session(CreateBashSessionRequest(startup_timeout=10))
        await self.type("python3 -q", 10)

    async def type(self, line: str, seconds: float):
        action = BashAction(
            command=line, is_interactive_command=True, expect=[PROMPT], timeout=seconds
        )
        return await self.deployment.runtime.run_in_session(action)

    async def exec(self, code: str, seconds: float) -> dict:
        if self.deployment is None:
            await self.reset()
        began = time.perf_counter()
        try:
            seen = await self.type(f"exec({code!r})", seconds)
        except Exception as error:
            timed_out = "timeout" in repr(error).lower()
            answer = {"exit_code": None if timed_out else 1, "stdout": "", "stderr": repr(error)}
            return answer | {"timed_out": timed_out, "seconds": time.perf_counter() - began}
        text = seen.output.replace("\r\n", "\n")
        failed = "Traceback (most recent call last)" in text
        out, err = ("", text) if failed else (text, "")
        answer = {"exit_code": int(failed), "stdout": out, "stderr": err, "timed_out": False}
        return answer | {"seconds": time.perf_counter() - began}

    async def close(self) -> None:
        if self.deployment is not None:
            await self.deployment.stop()
            self.deployment = None


async def main() -> None:
    peer = Peer()
    for line in sys.stdin:
        request = json.loads(line)
        answer = {}
        try:
            if request["op"] == "reset":
                await peer.reset()
            elif request["op"] == "exec":
                answer = await peer.exec(request["code"], request["seconds"])
            else:
                await peer.close()
        except Exception as error:
            answer = {"failed": repr(error)[:500]}
        print(json.dumps(answer), file=answers, flush=True)


asyncio.run(main())
