"""Guards τ-bench retail as a domain: official observations, states and verdicts."""

from __future__ import annotations

import gzip
import hashlib
import json
from pathlib import Path
from typing import Any

import pytest

from agentgym_si.envs.calls import Call, format_call
from agentgym_si.envs.tools.domain import Domain
from agentgym_si.envs.tools.env import ToolsEnv
from agentgym_si.envs.tools.tau_retail import compared, tau_retail
from agentgym_si.envs.tools.tau_retail_tools import TOOLS, calculate
from agentgym_si.errors import BadInput
from agentgym_si.testing import check_env

FOLDER = Path(__file__).parents[2].parent / "shared" / "data" / "tools" / "tau_bench_v1"
FIRST_OF_SPLIT = {"train": 0, "dev": 500}

needs_data = pytest.mark.skipif(not FOLDER.is_dir(), reason="τ-bench's files are not here")


@pytest.fixture(scope="module")
def retail() -> Domain:
    return tau_retail(FOLDER)


def verdicts() -> list[dict[str, Any]]:
    texts = (
        gzip.decompress((FOLDER / "official_verdicts" / f"retail_{split}.jsonl.gz").read_bytes())
        for split in FIRST_OF_SPLIT
    )
    return [json.loads(line) for text in texts for line in text.decode().splitlines()]


def official_hash(env: ToolsEnv) -> str:
    """Return the database's hash as the benchmark makes it: keys sorted, all of it as tuples."""

    def frozen(value: Any) -> Any:
        if isinstance(value, dict):
            return tuple((key, frozen(value[key])) for key in sorted(value))
        return tuple(map(frozen, value)) if isinstance(value, list) else value

    return hashlib.sha256(str(frozen(compared(env.database))).encode()).hexdigest()


@needs_data
def test_every_official_verdict_and_observation_is_ours(retail: Domain) -> None:
    """A tool that does or says something else than the benchmark's, a dropped write that passes."""
    env = ToolsEnv(domains=[retail])
    rows = verdicts()
    assert len(rows) == 312
    for row in rows:
        number = FIRST_OF_SPLIT[row["split"]] + row["task"]
        env.reset(seed=0, options={"task": f"tau_retail-l0-{number:04d}"})
        calls = [format_call(Call(action["name"], action["kwargs"])) for action in row["actions"]]
        told = [env.step(call)[0] for call in calls]
        assert told == row.get("observations", told), (row["kind"], number)
        if row.get("gt_data_hash") and row["split"] == "dev":  # a hash takes a tenth of a second
            assert official_hash(env) == row["gt_data_hash"]
        for text in row["said"]:
            env.step(f"{text}?")
        assert env.step("done")[1] == row["reward"], (row["kind"], number)
    env.close()


@needs_data
def test_doing_nothing_earns_one_task_of_the_520(retail: Domain) -> None:
    """A free point that nobody knows of."""
    env = ToolsEnv(domains=[retail])
    assert len(env.task_ids) == 520
    empty = [number for number, kind in enumerate(retail.kinds) if not kind.draw(None, None).calls]  # type: ignore[arg-type]
    assert len(empty) == 1
    env.reset(seed=0, options={"task": f"tau_retail-l0-{empty[0]:04d}"})
    assert env.step("I did nothing.")[1] == 1.0


@needs_data
def test_the_plugged_in_domain_keeps_the_contract(retail: Domain) -> None:
    """A database of megabytes that instances share."""
    check_env(lambda: ToolsEnv(domains=[retail]))
    env = ToolsEnv(domains=[retail], split="test")
    env.reset(seed=0)
    assert len(env.task_ids) == 20 and env.max_steps == 30
    official = json.loads((FOLDER / "retail_tools.json").read_text())
    ours = {tool["name"]: set(tool["parameters"]["properties"]) for tool in env.tools}
    assert ours == {
        tool["function"]["name"]: set(tool["function"]["parameters"]["properties"])
        for tool in official
    }
    assert "pending" in env.instructions and len(TOOLS) == 16


@needs_data
def test_people_and_products_are_found() -> None:
    """Reading tools that the official verdicts never call."""
    env = ToolsEnv("tau_retail-l0-0500", domains=[f"tau_retail:{FOLDER}"])
    env.reset(seed=0)

    def ask(name: str, **arguments: str) -> str:
        return env.step(format_call(Call(name, arguments)))[0]

    named = {"first_name": "noah", "last_name": "BROWN", "zip": "80279"}
    assert ask("find_user_id_by_name_zip", **named) == "noah_brown_6181"
    assert ask("find_user_id_by_email", email="Noah.Brown7922@example.com") == "noah_brown_6181"
    assert ask("find_user_id_by_email", email="nobody") == "Error: user not found"
    assert json.loads(ask("get_user_details", user_id="noah_brown_6181"))["orders"] == ["#W7678072"]
    assert ask("get_product_details", product_id="1") == "Error: product not found"
    assert json.loads(ask("list_all_product_types"))["T-Shirt"] == "9523456873"
    moved = {"address1": "1 A St", "address2": "", "city": "B", "state": "C", "country": "USA"}
    ask("modify_user_address", user_id="noah_brown_6181", zip="1", **moved)
    assert json.loads(ask("get_user_details", user_id="noah_brown_6181"))["address"]["zip"] == "1"


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("2 + 2", "4.0"),
        ("(1 - 4) * 2.5", "-7.5"),
        ("10 / 4", "2.5"),
        ("1 / 0", "Error: division by zero"),
        ("9 ** 9", "Error: expected + - * / and numbers"),
        ("__import__('os')", "Error: invalid characters in expression"),
    ],
)
def test_the_calculator_only_calculates(expression: str, value: str) -> None:
    """Arithmetic that is run as Python."""
    assert calculate(None, expression) == value  # type: ignore[arg-type]


def test_a_folder_without_the_files_is_refused(tmp_path: Path) -> None:
    """A traceback out of a JSON reader."""
    with pytest.raises(BadInput, match="expected τ-bench's retail files in"):
        ToolsEnv(domains=[f"tau_retail:{tmp_path}"])
