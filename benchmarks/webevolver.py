"""WebEvolver and its controls at equal real environment steps: the pre-registered test E2.

Policy and world model are neural, tiny and built from nothing, on the code path that large ones
take. All arms of a seed share everything up to the last iteration's real episodes: one run is
copied, and goes on in each arm with what is added to the same real rows, by the same number of
updates. `sites`: static pages whose ways have to be known (`webevolver_world`), judged by a checker
that reads goal and page; played without a browser (`webevolver_static`), and of the episodes that
were learned from `--browser-episodes` once more in Chromium, to see that every byte is the same;
with `--browser` all is played there. `tools`: a store where calls of a tool show what is on which
shelf (`webevolver_store`), judged by a checker of the dialogue.

    si          nothing is added: self-improvement
    we          WebEvolver: imagined episodes of what was not solved, judged
    upsampled   the real rows again, until they are as many as in `we`
    shuffled    as `we`, every prediction that of another state
    always      as `we`, the judge accepts everything
    noise-0.2, noise-0.5   as `we`, so many predictions are those of another state

Each seed is a folder that a killed run goes on with. The last line is one JSON object; of two arms
A_minus_B is the paired difference of held-out success over seeds (`_mean`) with its 95 % interval
(`_low`, `_high`): setting seeds we_minus_si we_minus_upsampled shuffled_minus_si
always_accept_minus_we noise_0.2_minus_we noise_0.5_minus_we arm_seeds (by arm) success (by arm)
acceptance (by arm) imagined_rows (by arm) real_steps learned (by arm: imagined episodes kept, how
many of them the judge accepts when the same is done in the world, held-out success by how the thing
that is asked for could be known) fidelity (by world model and depth) lookahead browser (steps that
were played again in Chromium, and how many of them differ).
"""

from __future__ import annotations

import argparse
import json
import shutil
import time
from collections.abc import Mapping
from contextlib import ExitStack
from pathlib import Path
from pkgutil import resolve_name
from typing import Any

from webevolver_measures import fidelity_of, learned_of, look_ahead, make, play_again
from webevolver_report import summarise, table
from webevolver_settings import LOOKS, ROUNDS, SHAPES, SITES, Arm, arms_of, base_config
from webevolver_static import ENV as STATIC

from agentgym_si.config import ImproveConfig, load_config
from agentgym_si.improving import check, improve
from agentgym_si.specs import check_env_id
from agentgym_si.store import Run, read_trajectories, write_json
from agentgym_si.worldmodel.imagined import real_env


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--setting", choices=sorted(SHAPES), default="sites")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--first-seed", type=int, default=0)
    parser.add_argument("--out", type=Path, default=Path("runs/webevolver"))
    parser.add_argument("--arms", nargs="*", help="only these; default all")
    parser.add_argument("--looks", type=int, default=len(LOOKS), help="looks ahead measured")
    parser.add_argument("--browser", action="store_true", help="play sites in Chromium throughout")
    parser.add_argument("--browser-episodes", type=int, default=20)
    parser.add_argument("--report", action="store_true", help="run nothing, show what was run")
    parser.add_argument("--quick", action="store_true", help="two seeds, no looks ahead")
    arguments = parser.parse_args()
    if arguments.quick:
        arguments.seeds, arguments.looks = 2, 0
    results = []
    for seed in range(arguments.first_seed, arguments.first_seed + arguments.seeds):
        folder = arguments.out.absolute() / f"{arguments.setting}-{seed}"
        if not arguments.report:
            run_seed(arguments, folder, seed)
        if (folder / "result.json").exists():
            results.append(json.loads((folder / "result.json").read_text()))
    if not results:
        raise SystemExit("no seed was run")
    report = summarise(arguments.setting, results)
    for line in table(report):
        print(line)
    print(json.dumps(report))


def run_seed(arguments: argparse.Namespace, folder: Path, seed: int) -> None:
    """Run what of a seed is not there yet, and keep its result after each part."""
    began = time.process_time()
    shape = SHAPES[arguments.setting]
    base = base_config(arguments.setting, folder, seed)
    if arguments.browser and arguments.setting == "sites":
        base |= {"env": SITES, "in_flight": 16}
    we = run_arm(base, folder, "we", arms_of(shape, 0)["we"])
    arms = arms_of(shape, we["rows"])
    wanted = [name for name in arms if not arguments.arms or name in arguments.arms]
    found: dict[str, Any] = {
        "seed": seed,
        "setting": arguments.setting,
        "arms": {"we": we},
    }

    def keep(**more: Any) -> None:
        found.update(more)
        write_json(folder / "result.json", found)

    keep()
    for name in wanted:
        found["arms"][name] = run_arm(base, folder, name, arms[name])
        keep()
    config = ImproveConfig.model_validate(base | {"method": "webevolver"})
    config = config.model_copy(update={"env": check_env_id(config.env)})
    if config.env == STATIC:
        keep(browser=play_again(config, folder, arguments.browser_episodes))
    with ExitStack() as stack:
        env = real_env(stack.enter_context(make(config)))
        checker = resolve_name(shape["accept"])
        keep(learned={name: learned_of(env, folder / name, checker) for name in found["arms"]})
        keep(fidelity=fidelity_of(config, folder, env))
    for count in range(1, arguments.looks + 1):
        keep(lookahead=look_ahead(config, folder, LOOKS[:count], shape["scorer"]))
    spent = time.process_time() - began
    print(f"{folder.name}: {spent:.0f} s of CPU; " + outcome_line(found), flush=True)


def outcome_line(found: Mapping[str, Any]) -> str:
    return ", ".join(f"{name} {arm['success']:.2f}" for name, arm in found["arms"].items())


def run_arm(base: Mapping[str, Any], folder: Path, name: str, arm: Arm) -> dict[str, Any]:
    """Run an arm, from the real episodes that `we` has, and return what came of it."""
    config = check(load_config({**base, "method": arm[0], "method_options": arm[1]}))
    run = folder / name
    if name != "we" and not run.exists():
        branch(folder / "we", run, config)
    report = improve(config, folder=run)
    last = report["iterations"][-1]
    rows = json.loads((run / "phases" / f"{ROUNDS}-curate.json").read_text())["rows"]
    return {
        "success": last["success"],
        "n": last["n"],
        "before": [entry["success"] for entry in report["iterations"]],
        "rows": rows,
        "rows_trained": last["rows_trained"],
        "imagined_rows": last["imagined_rows"],
        "imagined_share": last["imagined_share"],
        "collected_solved": last["collected_solved"],
        "steps": real_steps(run),
        "synthesis": {k: v for k, v in last.get("synthesis", {}).items() if k != "fidelity"},
    }


def branch(source: Path, target: Path, config: ImproveConfig) -> None:
    """Copy a run as it was before its last iteration was synthesised, for another method."""
    part = target.with_name(f"{target.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    gone = shutil.ignore_patterns(
        "report.json", ".lock", "*.partial", f"{ROUNDS}-*.json", f"{ROUNDS}.jsonl"
    )
    shutil.copytree(source, part, ignore=gone)
    shutil.rmtree(part / "checkpoints" / str(ROUNDS), ignore_errors=True)
    described = json.loads((part / "run.json").read_text())
    described["config"] = config.model_dump(mode="json")
    write_json(part / "run.json", described)
    later = (f"imagined/{ROUNDS}/", f"evaluate/{ROUNDS}/")
    kept = [t for t in read_trajectories(part) if not t.id.startswith(later)]
    (part / "trajectories.jsonl").unlink()
    with Run(part, config.model_dump(mode="json")) as run:
        for trajectory in kept:
            run.append(trajectory)
    part.rename(target)


def real_steps(run: Path) -> int:
    """Return the real steps that were learned from or could have been: all but evaluation's."""
    return sum(
        len(t.transitions) for t in read_trajectories(run) if t.id.startswith(("warm/", "collect/"))
    )


if __name__ == "__main__":
    main()
