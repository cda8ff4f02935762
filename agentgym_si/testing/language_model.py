"""`check_language_model`: the contract of a language model, as one function that raises."""

from __future__ import annotations

from collections.abc import Sequence
from typing import get_args

from agentgym_si.errors import MissingCapability
from agentgym_si.policies.base import History
from agentgym_si.policies.language import Capability, Completion, LanguageModel
from agentgym_si.testing.playing import generator_states, require
from agentgym_si.testing.policy import check_policy
from agentgym_si.types import Message, Weighted

TOLERANCE = 1e-3
"""How far two logprobs of the same token may lie apart, in nats: float32, different batches."""

QUESTIONS = ("[1] button 'yes'\n[2] button 'no'", "Which of the two?", "[1] textbox 'name'")


def check_language_model(
    model: LanguageModel,
    *,
    reference: LanguageModel | None = None,
    tolerance: float = TOLERANCE,
    max_new_tokens: int = 12,
) -> None:
    """Check a language model against the contract.

    What it says that it can do is checked; what it cannot must say so.

    Args:
        model: the language model; its chats must hold a hundred tokens and more.
        reference: another back end with the same weights; greedy tokens and logprobs must agree.
        tolerance: how far two logprobs of one token may lie apart, in nats.
        max_new_tokens: of the answers asked for.

    Raises:
        AssertionError: the contract is broken; the message names the rule.
    """
    require(isinstance(model, LanguageModel), "protocol", "expected generate, logprobs, adapter …")
    unknown = set(model.capabilities) - set(get_args(Capability))
    require(not unknown, "capabilities", f"expected {get_args(Capability)}, got {unknown}")
    before = generator_states()
    check_policy(model)
    greedy = _check_sampling(model, max_new_tokens)
    _check_stopping(model, max_new_tokens)
    _check_episode(model)
    if any(completion.token_ids for completion in greedy):
        _check_scoring(model, greedy, tolerance)
        _check_adapting(model, greedy)
    after = generator_states()
    moved = [name for name, state in after.items() if before.get(name, state) != state]
    require(not moved, "seeds", f"the global generators moved: {', '.join(moved)}")
    if reference is not None:
        _check_agreement(model, reference, greedy, tolerance, max_new_tokens)


def chats() -> list[list[Message]]:
    """Return the chats that the check asks."""
    return [
        [{"role": "system", "content": "Answer."}, {"role": "user", "content": question}]
        for question in QUESTIONS
    ]


def _check_sampling(model: LanguageModel, budget: int) -> list[Completion]:
    """Return the greedy answers."""
    asked = chats()
    require(model.generate([]) == [], "generate", "expected nothing for no prompts")
    greedy = model.generate(asked, temperature=0.0, max_new_tokens=budget)
    _check_shape(greedy, 1, budget)
    again = model.generate(asked, temperature=0.0, max_new_tokens=budget, seed=7)
    require(_ids(greedy) == _ids(again), "greedy", "temperature 0 depends on the seed")
    drawn = model.generate(asked, n=3, temperature=1.0, max_new_tokens=budget, seed=1)
    _check_shape(drawn, 3, budget)
    same = model.generate(asked, n=3, temperature=1.0, max_new_tokens=budget, seed=1)
    require(_ids(drawn) == _ids(same), "seeds", "the same seed gave other completions")
    other = model.generate(asked, n=3, temperature=1.0, max_new_tokens=budget, seed=2)
    require(_ids(drawn) != _ids(other), "seeds", "another seed gave the same completions")
    turned = model.generate(asked[::-1], n=3, temperature=1.0, max_new_tokens=budget, seed=1)
    require(_ids(drawn) == _ids(turned[::-1]), "batch", "the order of the prompts matters")
    alone = model.generate(asked[:1], n=2, temperature=1.0, max_new_tokens=budget, seed=1)
    first = _ids([drawn[0][:2]])
    require(_ids(alone) == first, "batch", "a completion depends on what is asked beside it")
    if any(c.prompt_ids for group in greedy for c in group):
        ids = [group[0].prompt_ids for group in greedy]
        echoed = model.generate(ids, temperature=0.0, max_new_tokens=budget)
        require(_ids(echoed) == _ids(greedy), "ids", "a prompt as ids is answered otherwise")
        kept = [group[0].prompt_ids for group in echoed] == ids
        require(kept, "ids", "a prompt given as ids did not come back as it was")
    return [group[0] for group in greedy]


def _check_shape(found: Sequence[Sequence[Completion]], n: int, budget: int) -> None:
    lengths = [len(group) for group in found]
    require(lengths == [n] * len(QUESTIONS), "batch", f"expected {n} a prompt, got {lengths}")
    for completion in (completion for group in found for completion in group):
        count = len(completion.token_ids)
        require(count <= budget, "budget", f"expected at most {budget} tokens, got {count}")
        if completion.finish == "length" and count:
            require(count == budget, "budget", f"cut at {count} tokens of {budget}")
        scored = not completion.logprobs or len(completion.logprobs) == count
        require(scored, "logprobs", f"{len(completion.logprobs)} for {count} tokens")
        require(all(lp <= 0 for lp in completion.logprobs), "logprobs", "one is above 0")


def _check_stopping(model: LanguageModel, budget: int) -> None:
    (one,) = model.generate(chats()[:1], temperature=0.0, max_new_tokens=1)[0]
    require(len(one.token_ids) <= 1, "budget", f"expected one token, got {len(one.token_ids)}")

    def draw(*stop: str) -> list[Completion]:
        asked = {"n": 3, "temperature": 1.0, "max_new_tokens": budget, "seed": 1}
        found = model.generate(chats(), stop=stop, **asked)  # type: ignore[arg-type]
        return [completion for group in found for completion in group]

    whole = draw()
    letters = [letter for c in whole for letter in c.text[1:] if letter.isascii()]
    if not letters:
        return
    stop = letters[0]
    for cut, completion in zip(draw(stop), whole, strict=True):
        expected, found, _ = completion.text.partition(stop)
        same = cut.text == expected
        require(same, "stop", f"expected {expected!r} before {stop!r}, got {cut.text!r}")
        ended = cut.finish == ("stop" if found else completion.finish)
        require(ended, "stop", f"a stop text is marked as {cut.finish!r}")
        prefix = completion.token_ids[: len(cut.token_ids)]
        require(cut.token_ids == prefix, "stop", "the ids before a stop text changed")


def _check_episode(model: LanguageModel) -> None:
    """What was sampled is what the next prompt starts with."""
    first = History((QUESTIONS[0],), instructions="Answer.", seed=5)
    (action,) = model.act([first])[0]
    if not action.token_ids:
        return
    grown = History((*first.observations, QUESTIONS[1]), (action,), "Answer.", seed=5)
    (later,) = model.act([grown])[0]
    sampled = action.prompt_ids + action.token_ids
    kept = later.prompt_ids[: len(sampled)] == sampled
    require(kept, "ids", "the next prompt does not start with the sampled ids")


def _check_scoring(model: LanguageModel, greedy: Sequence[Completion], tolerance: float) -> None:
    contexts = [completion.prompt_ids for completion in greedy]
    answers = [completion.token_ids for completion in greedy]
    if "scoring" not in model.capabilities:
        _check_refusal("scoring", lambda: model.logprobs(contexts, answers))
        return
    scored = model.logprobs(contexts, answers)
    for completion, found in zip(greedy, scored, strict=True):
        require(len(found) == len(completion.token_ids), "logprobs", "expected one a token")
        if completion.logprobs:
            gap = _gap(found, completion.logprobs)
            require(gap <= tolerance, "logprobs", f"scored {gap:.2g} nats beside the recorded ones")
    # Every answer after every context, where contexts are shared.
    pairs = [(context, answer) for context in contexts for answer in (*answers, answers[0][:1], ())]
    shared = model.logprobs([context for context, _ in pairs], [answer for _, answer in pairs])
    for (context, answer), found in zip(pairs, shared, strict=True):
        (alone,) = model.logprobs([context], [answer])
        require(len(found) == len(answer), "logprobs", "expected one a token")
        gap = _gap(found, alone)
        require(gap <= tolerance, "logprobs", f"a shared context moves them by {gap:.2g} nats")


def _check_adapting(model: LanguageModel, greedy: Sequence[Completion]) -> None:
    rows = [Weighted(c.prompt_ids, c.token_ids[::-1], (1.0,) * len(c.token_ids)) for c in greedy]
    if "adapting" not in model.capabilities:
        _check_refusal("adapting", lambda: model.adapter(rows).__enter__())
        return
    contexts, answers = [row.context for row in rows], [row.completion for row in rows]
    before, acted = model.logprobs(contexts, answers), model.generate(chats(), seed=3)
    with model.adapter(rows) as adapted:
        require(adapted.version != model.version, "adapter", "expected a version of its own")
        inside = adapted.logprobs(contexts, answers)
    require(_total(inside) > _total(before), "adapter", "the rows did not become likelier")
    require(model.logprobs(contexts, answers) == before, "adapter", "the weights were not restored")
    try:
        with model.adapter(rows):
            raise KeyError("on purpose")
    except KeyError:
        after = model.logprobs(contexts, answers)
    require(after == before, "adapter", "the weights were not restored after an exception")
    require(model.generate(chats(), seed=3) == acted, "adapter", "the answers were not restored")


def _check_refusal(capability: Capability, call: object) -> None:
    assert callable(call)
    try:
        call()
    except MissingCapability:
        return
    raise AssertionError(f"capabilities: expected MissingCapability for {capability}")


def _check_agreement(
    model: LanguageModel,
    reference: LanguageModel,
    greedy: Sequence[Completion],
    tolerance: float,
    budget: int,
) -> None:
    expected = reference.generate(chats(), temperature=0.0, max_new_tokens=budget)
    for completion, (other,) in zip(greedy, expected, strict=True):
        same = completion.prompt_ids == other.prompt_ids
        require(same, "agreement", "the prompts are other ids")
        same = (completion.token_ids, completion.text) == (other.token_ids, other.text)
        require(same, "agreement", f"expected {other.text!r}, got {completion.text!r}")
        require(completion.finish == other.finish, "agreement", "the answers end otherwise")
        gap = _gap(completion.logprobs, other.logprobs)
        require(gap <= tolerance, "agreement", f"logprobs lie {gap:.2g} nats apart")


def _ids(found: Sequence[Sequence[Completion]]) -> list[list[object]]:
    return [[completion.token_ids or completion.text for completion in group] for group in found]


def _gap(one: Sequence[float], two: Sequence[float]) -> float:
    """Return the largest difference of two sequences of one length."""
    return max((abs(a - b) for a, b in zip(one, two, strict=True)), default=0.0)


def _total(scores: Sequence[Sequence[float]]) -> float:
    return sum(sum(score) for score in scores)
