"""`agentgym-si sites serve`: the sites of `agentgym_si/Sites-v0` for people to look at."""

from __future__ import annotations

from typing import Annotated

import typer

from agentgym_si.cli.output import people
from agentgym_si.errors import BadInput

app = typer.Typer(help="The sites of agentgym_si/Sites-v0.", no_args_is_help=True)

PORT = 8600


@app.callback()
def sites() -> None:
    """The sites of agentgym_si/Sites-v0."""


@app.command("serve")
def serve(
    task: Annotated[
        str | None, typer.Option(help="begin as this task does, and print its goal")
    ] = None,
    seed: Annotated[int, typer.Option(help="what all content is drawn from")] = 0,
    port: Annotated[int, typer.Option(help="port of 127.0.0.1; 0: a free one")] = PORT,
) -> None:
    """Serve the sites on this machine until Ctrl-C; what is done on them is then forgotten."""
    from agentgym_si.envs.sites.env import SitesEnv
    from agentgym_si.envs.sites.serving import SitesServer

    if seed < 0:
        raise BadInput(f"expected --seed of 0 or more, got {seed}")
    env = SitesEnv(task)
    observation, _ = env.reset(seed=seed, options={"task": env.task_ids[0]})
    assert env.episode is not None
    problem = env.episode.problem
    with SitesServer(problem.world, port) as server:
        if task is not None:
            _say(observation.split("\n", 1)[0])
            _say(f"begin       {server.address(problem.start)}")
        _say(f"serving     {server.address()}  (Ctrl-C ends it)")
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            _say("stopped")


def _say(line: str) -> None:
    people.print(line, highlight=False, markup=False, soft_wrap=True)
