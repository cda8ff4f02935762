"""Names to things: what a policy, a method or an environment is called on the command line.

Policies: `oracle`, `random`, `noop`, a checkpoint folder or hub name, `openai:MODEL@URL` (a
server), `vllm:MODEL` (in process), `replay:RUN`, `package.module:factory`; and a name of WRAPPERS
before any of these, with settings or without: `refine:POLICY`, `ttsi,tau=0.9,k=4:POLICY`. Methods:
a name of METHODS, or `package.module:factory`. Environments: an id, or `module:id` for one that
importing `module` registers.
"""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import gymnasium as gym
import yaml

from agentgym_si.errors import BadInput, UnknownName
from agentgym_si.policies.base import (
    NoopPolicy,
    OraclePolicy,
    Policy,
    RandomPolicy,
    ReplayPolicy,
)
from agentgym_si.rollouts import as_policy
from agentgym_si.store import read_trajectories

PLAIN_POLICIES: Mapping[str, Callable[[], Policy]] = {
    "oracle": OraclePolicy,
    "random": RandomPolicy,
    "noop": NoopPolicy,
}

WRAPPERS: Mapping[str, str] = {
    "refine": "agentgym_si.adapt.refine:Refine",
    "ttsi": "agentgym_si.methods.ttsi:ttsi",
}
"""Policies made of another one, which is the factory's first argument."""

METHODS: Mapping[str, str] = {
    "dpo": "agentgym_si.methods.dpo:DPO",
    "grpo": "agentgym_si.methods.grpo:GRPO",
    "kto": "agentgym_si.methods.kto:KTO",
    "rft": "agentgym_si.methods.rft:RFT",
    "sharpening": "agentgym_si.methods.sharpening:Sharpening",
    "toolace-r": "agentgym_si.methods.toolace_r:ToolACER",
    "ttsi-pooled": "agentgym_si.methods.ttsi_pooled:TTSIPooled",
    "upsampled": "agentgym_si.methods.control:Upsampled",
    "warm-only": "agentgym_si.methods.control:WarmOnly",
    "webevolver": "agentgym_si.methods.webevolver:WebEvolver",
}


def load_policy(spec: str, **sampling: Any) -> Policy:
    """Return the policy that `spec` names.

    Args:
        spec: see the module's docstring.
        sampling: `temperature`, `max_new_tokens`, `seed` of a language model; others ignore them.

    Raises:
        BadInput: for a spec that leads nowhere, with the reason.
        MissingDependency: for a language model whose extra is not installed.
        UnknownName: for a plain name that is not known.
    """
    if spec in PLAIN_POLICIES:
        return PLAIN_POLICIES[spec]()
    wrapper, _, inner = spec.partition(":")
    if wrapper.split(",")[0] in WRAPPERS:
        return _wrap(wrapper, load_policy(inner, **sampling))
    if spec.startswith("replay:"):
        return _replay(spec.removeprefix("replay:"))
    if spec.startswith("openai:"):
        from agentgym_si.policies.served import ServedPolicy, parse_served

        return ServedPolicy(*parse_served(spec.removeprefix("openai:")), **sampling)
    if spec.startswith("vllm:"):
        from agentgym_si.policies.vllm import VLLMPolicy

        return VLLMPolicy(spec.removeprefix("vllm:"), **sampling)
    if (Path(spec) / "config.json").is_file() or _is_hub_name(spec):
        from agentgym_si.policies.hf import TransformersPolicy

        return TransformersPolicy(spec, **sampling)
    if Path(spec).is_dir():
        raise BadInput(f"expected a checkpoint (with config.json) in the folder {spec}, found none")
    if ":" in spec:
        return as_policy(import_object(spec, "policy")())
    known = [
        *PLAIN_POLICIES,
        *(f"{name}:POLICY" for name in WRAPPERS),
        "openai:MODEL@URL",
        "vllm:MODEL",
        "replay:RUN",
        "package.module:factory",
    ]
    raise UnknownName("policy", spec, known)


def load_method(spec: str, options: Mapping[str, Any]) -> Any:
    """Return the method that `spec` names, made with `options`; raises BadInput, UnknownName."""
    if ":" not in spec and spec not in METHODS:
        raise UnknownName("method", spec, [*METHODS, "package.module:factory"])
    factory = import_object(METHODS.get(spec, spec), "method")
    try:
        method = factory(**options)
    except TypeError as error:
        raise BadInput(f"method {spec!r} with options {dict(options)}: {error}") from error
    missing = [n for n in ("samples", "labels_used", "curate") if not hasattr(method, n)]
    if missing:
        raise BadInput(f"method {spec!r} has no {', '.join(missing)}")
    return method


def check_env_id(env_id: str) -> str:
    """Return the id, registered; raises UnknownName with the nearest, BadInput for its module."""
    module, _, name = env_id.rpartition(":")
    if module:
        _import_module(module, f"environment {env_id!r}")
    if name not in gym.registry:
        own = [known for known in gym.registry if known.startswith("agentgym_si/")]
        near = own if module == "" else list(gym.registry)
        raise UnknownName("environment", name, near)
    return name


def make_env(env_id: str, **options: Any) -> gym.Env[str, str]:
    """Return a fresh environment; raises like `check_env_id`, and BadInput for its options."""
    try:
        env: gym.Env[str, str] = gym.make(check_env_id(env_id), disable_env_checker=True, **options)
    except TypeError as error:
        raise BadInput(f"environment {env_id!r} with {options}: {error}") from error
    return env


def import_object(spec: str, kind: str) -> Any:
    """Return what `package.module:name` names, the working folder searched too; raises BadInput."""
    module_name, _, name = spec.partition(":")
    module = _import_module(module_name, f"{kind} {spec!r}")
    found = getattr(module, name, None)
    if not callable(found):
        raise BadInput(f"{kind} {spec!r}: module {module_name} has no callable {name!r}")
    return found


def _wrap(wrapper: str, policy: Policy) -> Policy:
    """Return the policy inside the wrapper that `name,key=value,…` names; raises BadInput."""
    name, *settings = wrapper.split(",")
    options: dict[str, Any] = {}
    for setting in settings:
        key, equals, value = setting.partition("=")
        if not equals:
            raise BadInput(f"expected settings key=value in policy {wrapper!r}, got {setting!r}")
        options[key] = yaml.safe_load(value)
    try:
        wrapped: Policy = import_object(WRAPPERS[name], "policy")(policy, **options)
    except TypeError as error:
        raise BadInput(f"policy {name!r} with settings {options}: {error}") from error
    return wrapped


def _import_module(module_name: str, where: str) -> Any:
    folder = os.getcwd()
    if folder not in sys.path:  # a console script does not search the working folder by itself
        sys.path.insert(0, folder)
    try:
        return importlib.import_module(module_name)
    except (ModuleNotFoundError, ValueError) as error:
        if isinstance(error, ModuleNotFoundError) and error.name not in _parents(module_name):
            raise  # the user's module is there and misses something itself
        raise BadInput(f"{where}: no module {module_name!r} to import from {folder}") from error


def _parents(module_name: str) -> list[str]:
    parts = module_name.split(".")
    return [".".join(parts[:count]) for count in range(1, len(parts) + 1)]


def _is_hub_name(spec: str) -> bool:
    parts = spec.split("/")
    return len(parts) == 2 and all(parts) and ":" not in spec and not spec.startswith(".")


def _replay(folder: str) -> ReplayPolicy:
    actions: dict[tuple[str, int, int], tuple[str, ...]] = {}
    seen: dict[tuple[str, int], int] = {}
    for trajectory in read_trajectories(folder):
        episode = (trajectory.task.id, trajectory.seed)
        actions[(*episode, seen.get(episode, 0))] = trajectory.actions
        seen[episode] = seen.get(episode, 0) + 1
    return ReplayPolicy(actions, version=f"replay:{folder}")
