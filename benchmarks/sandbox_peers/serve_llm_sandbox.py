"""llm-sandbox behind lines of JSON: its Docker session, and a new container for each reset."""

import json
import os
import sys
import time
import warnings

from llm_sandbox import SandboxSession

warnings.simplefilter("ignore")
answers = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)  # what the package prints goes elsewhere


class Peer:
    """One session at a time; its snippets share no state, so none is asked of it."""

    def __init__(self) -> None:
        self.session = None

    def reset(self) -> None:
        self.close()
        self.session = SandboxSession(
            lang="python", image=sys.argv[1], skip_environment_setup=True, verbose=False
        )
        self.session.open()

    def exec(self, code: str, seconds: float) -> dict:
        if self.session is None:
            self.reset()
        began = time.perf_counter()
        try:
            seen = self.session.run(code, timeout=seconds)
        except Exception as error:
            timed_out = "timed" in repr(error).lower() or "timeout" in repr(error).lower()
            answer = {"exit_code": None if timed_out else 1, "stdout": "", "stderr": repr(error)}
            return answer | {"timed_out": timed_out, "seconds": time.perf_counter() - began}
        answer = {"exit_code": seen.exit_code, "stdout": seen.stdout, "stderr": seen.stderr}
        return answer | {"timed_out": False, "seconds": time.perf_counter() - began}

    def close(self) -> None:
        if self.session is not None:
            self.session.close()
            self.session = None


peer = Peer()
for line in sys.stdin:
    request = json.loads(line)
    answer = {}
    try:
        if request["op"] == "reset":
            peer.reset()
        elif request["op"] == "exec":
            answer = peer.exec(request["code"], request["seconds"])
        else:
            peer.close()
    except Exception as error:
        answer = {"failed": repr(error)[:500]}
    print(json.dumps(answer), file=answers, flush=True)
