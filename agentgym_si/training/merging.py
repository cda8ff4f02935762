"""Several trained models into one: weighted mean, SLERP by layer, and breadcrumbs.

Arithmetic is in float32, tensor by tensor, so a merge needs the memory of one tensor of each model;
the result has the first model's dtypes. Counts of kept weights are exact for tensors of any size.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path

import numpy as np

from agentgym_si.errors import BadInput, MissingDependency

try:
    import torch
    from safetensors import safe_open
    from safetensors.torch import save_file
    from torch import Tensor
except ImportError as error:
    raise MissingDependency("merging needs torch: pip install 'agentgym-si[train]'") from error

Merge = Callable[[str, Sequence[Tensor]], Tensor]
"""A tensor's name and its value in each model, in float32, to the merged one."""

_LAYER = re.compile(r"\.(?:layers|h|blocks)\.(\d+)\.")


def linear(weights: Sequence[float]) -> Merge:
    """Return the merge that takes the weighted sum of the models; usual weights sum to 1."""

    def merge(name: str, tensors: Sequence[Tensor]) -> Tensor:
        _expect(len(weights), tensors, name)
        total = torch.zeros_like(tensors[0])
        for weight, tensor in zip(weights, tensors, strict=True):
            total += weight * tensor
        return total

    return merge


def slerp(share: float | Sequence[float]) -> Merge:
    """Return the merge of two models along the arc between them, each tensor on its own.

    "Domain adaptation & merging" (arXiv 2409.03444). Tensors that are nearly parallel, or 0, are
    mixed linearly.

    Args:
        share: of the second model, in [0, 1]; a sequence is one a layer by the layer's number, and
            its mean for tensors of no layer.
    """
    shares = [share] if isinstance(share, int | float) else list(share)
    if not shares or not all(0 <= value <= 1 for value in shares):
        raise BadInput(f"expected shares in [0, 1], got {share}")

    def merge(name: str, tensors: Sequence[Tensor]) -> Tensor:
        _expect(2, tensors, name)
        t = _of_layer(shares, name)
        first, second = tensors
        lengths = first.norm() * second.norm()
        cosine = float(((first * second).sum() / lengths).clamp(-1, 1)) if lengths > 0 else 1.0
        angle = torch.tensor(cosine, dtype=torch.float64).acos()
        if float(angle.sin()) < 1e-4:
            return (1 - t) * first + t * second
        parts = (((1 - t) * angle).sin() / angle.sin(), (t * angle).sin() / angle.sin())
        return float(parts[0]) * first + float(parts[1]) * second

    return merge


def breadcrumbs(*, keep: float = 0.9, outliers: float = 0.01, scale: float = 1.0) -> Merge:
    """Return the merge base + scale x sum of the other models' masked changes to it.

    Model Breadcrumbs (arXiv 2312.06795): of each tensor's changes the `outliers` largest share and
    the smallest are dropped, so that `keep` of them stay. The first model is the base. Of n changes
    floor(outliers n) of the largest go, and exactly round(keep n) of what is left at most stay.
    """
    if not (0 < keep <= 1 and 0 <= outliers < 1):
        raise BadInput(f"expected keep in (0, 1] and outliers in [0, 1), got {keep}, {outliers}")

    def merge(name: str, tensors: Sequence[Tensor]) -> Tensor:
        base = tensors[0]
        merged = base.clone()
        for tensor in tensors[1:] if base.numel() else ():
            change = (tensor - base).flatten()
            count = len(change)
            top = count - int(outliers * count)
            bottom = max(top - round(keep * count), 0)
            # Not a quantile: torch's stops at 16 million elements, and ties would move the count.
            places = [min(bottom, count - 1), top - 1]
            order = np.argpartition(change.abs().cpu().numpy(), places)
            kept = torch.from_numpy(order[bottom:top]).to(change.device)
            masked = torch.zeros_like(change)
            masked[kept] = change[kept]
            merged += scale * masked.view_as(base)
        return merged

    return merge


def merge_states(states: Sequence[Mapping[str, Tensor]], merge: Merge) -> dict[str, Tensor]:
    """Return the merged state dict; raises BadInput where names or shapes differ."""
    if not states:
        raise BadInput("expected models to merge, got none")
    for number, state in enumerate(states[1:], start=1):
        if differing := sorted(states[0].keys() ^ state.keys()):
            raise BadInput(f"expected the same tensors, model {number} differs in {differing[0]}")
    return {
        name: _merged(name, [state[name] for state in states], merge) for name in sorted(states[0])
    }


def merge_checkpoints(folders: Sequence[str | Path], out: str | Path, merge: Merge) -> Path:
    """Write the merge of checkpoint folders to the new folder `out`, whole or not at all.

    All but the weights is the first folder's. A tied output layer stays tied. Raises BadInput for
    a folder that is taken, or models of other shapes.
    """
    out, paths = Path(out), [Path(folder) for folder in folders]
    if out.exists():
        raise BadInput(f"expected a new folder for the merged model, got {out}, which exists")
    for path in paths:
        if not list(path.glob("*.safetensors")):
            raise BadInput(f"expected a checkpoint with safetensors in {path}, found none")
    part = out.with_name(out.name + ".part")
    shutil.rmtree(part, ignore_errors=True)
    shutil.copytree(paths[0], part, ignore=shutil.ignore_patterns("adapter"))
    for file in sorted(part.glob("*.safetensors")):
        with ExitStack() as stack:
            opened = [_open(path, stack) for path in paths]
            with safe_open(file, framework="pt") as own:
                names, metadata = sorted(own.keys()), own.metadata()
            merged = {
                name: _merged(name, [_read(model, name) for model in opened], merge)
                for name in names
            }
        save_file(merged, file, metadata=metadata)
        file.chmod(0o644)
    part.rename(out)
    return out


def _open(path: Path, stack: ExitStack) -> dict[str, tuple[Path, object]]:
    """Return where each tensor of a checkpoint lies."""
    found: dict[str, tuple[Path, object]] = {}
    for file in sorted(path.glob("*.safetensors")):
        opened = stack.enter_context(safe_open(file, framework="pt"))
        found |= {name: (path, opened) for name in opened.keys()}  # noqa: SIM118
    return found


def _read(model: Mapping[str, tuple[Path, object]], name: str) -> Tensor:
    if name not in model:
        where = next(iter(model.values()))[0]
        raise BadInput(f"expected the same tensors in all models, {where} has no {name}")
    opened = model[name][1]
    tensor: Tensor = opened.get_tensor(name)  # type: ignore[attr-defined]
    return tensor


def _merged(name: str, tensors: Sequence[Tensor], merge: Merge) -> Tensor:
    shapes = {tuple(tensor.shape) for tensor in tensors}
    if len(shapes) > 1:
        raise BadInput(f"expected {name} of one shape, got {sorted(shapes)}")
    if not tensors[0].is_floating_point():
        return tensors[0]
    merged = merge(name, [tensor.float() for tensor in tensors])
    return merged.to(tensors[0].dtype).contiguous()


def _of_layer(shares: Sequence[float], name: str) -> float:
    found = _LAYER.search(f".{name}")
    if len(shares) == 1 or found is None:
        return sum(shares) / len(shares)
    layer = int(found[1])
    if layer >= len(shares):
        raise BadInput(f"expected a share for each layer, got {len(shares)} for {name}")
    return shares[layer]


def _expect(count: int, tensors: Sequence[Tensor], name: str) -> None:
    if len(tensors) != count:
        raise BadInput(f"expected {count} models, got {len(tensors)} at {name}")
