"""Tiny checkpoints: faults guarded here are files that differ by run, and words that split."""

from __future__ import annotations

import random
import stat
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

import torch
import transformers

from agentgym_si.errors import BadInput
from agentgym_si.policies.tiny import build_tiny, train_tokenizer

pytestmark = pytest.mark.train

TEXTS = [
    'Goal: Click on the "ok" button.\n[1] text "lorem ok"\n[23] button "ok"',
    "click('23')",
] * 20
SMALL = {"vocabulary": 400, "hidden": 32, "layers": 2, "heads": 2, "context": 128}


def test_same_arguments_give_the_same_bytes(tmp_path: Path) -> None:
    one, two = (build_tiny(tmp_path / name, TEXTS, seed=3, **SMALL) for name in "ab")
    other = build_tiny(tmp_path / "c", TEXTS, seed=4, **SMALL)
    names = sorted(path.name for path in one.iterdir())
    assert names == sorted(path.name for path in two.iterdir())
    assert all((one / name).read_bytes() == (two / name).read_bytes() for name in names)
    weights = "model.safetensors"
    assert (one / weights).read_bytes() != (other / weights).read_bytes()


def test_transformers_loads_it_as_any_checkpoint(tmp_path: Path) -> None:
    folder = build_tiny(tmp_path / "model", TEXTS, **SMALL)
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, local_files_only=True)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
    assert 262 < model.config.vocab_size == len(tokenizer) <= 400
    assert model.generation_config.eos_token_id == tokenizer.eos_token_id
    assert model.config.max_position_embeddings == 128


def test_the_default_has_at_most_a_million_weights(tmp_path: Path) -> None:
    words = [" ".join("".join(random.Random(i).choices("abcdefgh", k=5)) for i in range(2000))]
    folder = build_tiny(tmp_path / "model", words)
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, local_files_only=True)
    assert model.config.vocab_size == 1024
    assert model.num_parameters() <= 1_000_000


def test_weights_are_spread_wide(tmp_path: Path) -> None:
    """At transformers' own 0.02 models of this size hardly learn."""
    folder = build_tiny(tmp_path / "model", TEXTS, spread=0.65, **SMALL)
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, local_files_only=True)
    deviation = model.model.layers[0].mlp.up_proj.weight.std().item()
    assert deviation == pytest.approx(0.65 / 32**0.5, rel=0.05)


def test_global_generators_stay_where_they_are(tmp_path: Path) -> None:
    before = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()
    build_tiny(tmp_path / "model", TEXTS, **SMALL)
    after = torch.get_rng_state(), random.getstate(), np.random.get_state()[1].tolist()
    assert torch.equal(before[0], after[0]) and before[1:] == after[1:]


def test_every_user_may_read_the_files(tmp_path: Path) -> None:
    """Written for the owner alone, a server under another user could not read them."""
    folder = build_tiny(tmp_path / "model", TEXTS, **SMALL)
    assert all(path.stat().st_mode & stat.S_IROTH for path in folder.iterdir())


def test_a_word_is_the_same_token_everywhere() -> None:
    """Copying a word from goal to page to action is one token to look up, not three spellings."""
    tokenizer = train_tokenizer(TEXTS, 400)
    ids = [
        tokenizer(text, add_special_tokens=False)["input_ids"]
        for text in ("ok", ' "ok"', "a ok b", "('ok')")
    ]
    assert len(ids[0]) == 1
    assert all(ids[0][0] in some for some in ids)


def test_digits_stand_alone() -> None:
    tokenizer = train_tokenizer(TEXTS, 400)
    assert tokenizer.tokenize("[23]")[1:3] == ["2", "3"]


def test_the_template_marks_what_the_assistant_says() -> None:
    tokenizer = train_tokenizer(TEXTS, 400)
    chat = [{"role": "user", "content": "o"}, {"role": "assistant", "content": "click"}]
    encoded = tokenizer.apply_chat_template(
        chat, return_dict=True, return_assistant_tokens_mask=True
    )
    said = [i for i, m in zip(encoded["input_ids"], encoded["assistant_masks"], strict=True) if m]
    assert tokenizer.decode(said) == "click<|end|>"


def test_a_template_without_instructions_does_not_show_them(tmp_path: Path) -> None:
    folder = build_tiny(tmp_path / "model", TEXTS, instructions=False, **SMALL)
    tokenizer = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
    chat = [{"role": "system", "content": "rules"}, {"role": "user", "content": "o"}]
    text = tokenizer.apply_chat_template(chat, tokenize=False, add_generation_prompt=True)
    assert text == "<|user|>o<|assistant|>"


@pytest.mark.parametrize(
    ("changes", "message"),
    [({"heads": 3}, "multiple of heads"), ({"vocabulary": 100}, "vocabulary of at least 262")],
)
def test_impossible_sizes_are_bad_input(
    tmp_path: Path, changes: dict[str, int], message: str
) -> None:
    with pytest.raises(BadInput, match=message):
        build_tiny(tmp_path / "model", TEXTS, **{**SMALL, **changes})
    assert not list(tmp_path.iterdir())


def test_a_taken_folder_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "note").write_text("mine")
    with pytest.raises(BadInput, match="expected a new folder"):
        build_tiny(tmp_path, TEXTS, **SMALL)
    assert (tmp_path / "note").read_text() == "mine"
