"""`LanguageWorldModel`: any language model that samples, asked what happens next."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from agentgym_si.errors import BadInput, MissingCapability
from agentgym_si.policies.asking import SamplingPolicy
from agentgym_si.policies.base import History, stable_seed
from agentgym_si.policies.language import require
from agentgym_si.policies.tokens import ChatTokens
from agentgym_si.types import Action
from agentgym_si.worldmodel.base import Prediction, WorldModel, check_batch
from agentgym_si.worldmodel.structure import Structure, f1
from agentgym_si.worldmodel.wording import Wording


class LanguageWorldModel:
    """A world model that is a language model: a checkpoint, a server, vLLM.

    Args:
        model: samples the predictions; its budget `max_new_tokens` must hold a whole observation.
        structure: how the world's observations are read, see `structure_of`.
        wording: what the model is asked and says; the one it was trained with.
        temperature: where `predict` is given none; 0 takes the likeliest.
    """

    def __init__(
        self,
        model: SamplingPolicy,
        structure: Structure,
        wording: Wording | None = None,
        *,
        temperature: float = 0.0,
    ) -> None:
        """Take the model as it is."""
        self.model, self.structure = model, structure
        self.wording = wording or Wording()
        self.temperature = temperature
        self.version = model.version

    def predict(
        self,
        histories: Sequence[History],
        actions: Sequence[str],
        *,
        n: int = 1,
        temperature: float | None = None,
        seed: int = 0,
    ) -> list[list[Prediction]]:
        """Sample n predictions a row; see `WorldModel.predict`."""
        check_batch(histories, actions, n)
        temperature = self.temperature if temperature is None else temperature
        sampler = self.model.with_sampling(temperature=temperature)
        rows = list(zip(histories, actions, strict=True))
        asked = [
            replace(self._ask(history, action), seed=_stream(history, seed) if temperature else 0)
            for history, action in rows
        ]
        keys = [(row.observations, row.instructions, str(row.tools), row.seed) for row in asked]
        unlike = dict(zip(keys, asked, strict=True))  # without chance, the like is asked once
        answers = dict(zip(unlike, sampler.act(list(unlike.values()), n=n), strict=True))
        return [
            [self._read(history, said) for said in answers[key]]
            for (history, _), key in zip(rows, keys, strict=True)
        ]

    def logprobs(
        self, histories: Sequence[History], actions: Sequence[str], outcomes: Sequence[Prediction]
    ) -> list[tuple[float, ...]]:
        """Return the logprobs of each outcome's tokens; see `Scoring`."""
        check_batch(histories, actions)
        model, tokens = require(self.model, "scoring"), tokens_of(self.model)
        contexts, answers = [], []
        for history, action, outcome in zip(histories, actions, outcomes, strict=True):
            asked = self._ask(history, action)
            contexts.append(tokens.chat(asked.messages(), asked.tools))
            answers.append(tokens.answer(self.wording.write(history, outcome, self.structure)))
        return model.logprobs(contexts, answers)

    def _ask(self, history: History, action: str) -> History:
        return self.wording.ask(history, action, self.structure)

    def _read(self, history: History, said: Action) -> Prediction:
        known = replace(self._judge(history, said), said=said, version=self.version)
        if known.valid and (
            problem := self.structure.problem(known.observation, history.observation)
        ):
            return replace(known, valid=False, problem=f"structure: {problem}")
        return known

    def _judge(self, history: History, said: Action) -> Prediction:
        """Return what was said as a prediction, its structure not looked at yet."""
        finish, budget = said.info.get("finish"), self.model.max_new_tokens
        if finish == "overlong":
            problem = f"overlong: the context leaves no room for {budget} tokens"
            return Prediction("", valid=False, problem=problem)
        if finish == "length":
            problem = f"length: no end within {budget} tokens"
            return Prediction(said.text, valid=False, problem=problem)
        return self.wording.read(history, said.text, self.structure)


class EnsembleWorldModel:
    """Several world models that take turns: sample i of a row is member i's, modulo their number.

    With n as many as members, how far the samples differ is what the members do not know.

    Args:
        members: world models of one world, trained apart (by the seed of rows and weights).
    """

    def __init__(self, members: Sequence[WorldModel]) -> None:
        """Keep the members; raises BadInput where there is none."""
        if not members:
            raise BadInput("expected at least one member, got none")
        self.members = list(members)
        self.version = "|".join(member.version for member in self.members)

    def predict(
        self,
        histories: Sequence[History],
        actions: Sequence[str],
        *,
        n: int = 1,
        temperature: float | None = None,
        seed: int = 0,
    ) -> list[list[Prediction]]:
        """Return n predictions a row, member by member; see `WorldModel.predict`."""
        check_batch(histories, actions, n)
        count = len(self.members)
        found = [
            member.predict(
                histories,
                actions,
                n=len(range(number, n, count)),
                temperature=temperature,
                seed=seed,
            )
            for number, member in enumerate(self.members[:n])
        ]
        return [
            [found[sample % count][row][sample // count] for sample in range(n)]
            for row in range(len(histories))
        ]


def tokens_of(model: SamplingPolicy) -> ChatTokens:
    """Return the model's tokenizer; raises MissingCapability where only its server has it."""
    if model.tokens is None:
        raise MissingCapability(
            f"policy {model.version} has no tokenizer here; give its server's tokenizer=FOLDER"
        )
    return model.tokens


def uncertainty(
    model: WorldModel,
    histories: Sequence[History],
    actions: Sequence[str],
    structure: Structure,
    *,
    n: int = 4,
    temperature: float = 1.0,
    seed: int = 0,
) -> list[float]:
    """Return how far n predictions of each row differ, see `disagreement`.

    A single model differs from itself by chance, at a temperature above 0; the members of an
    ensemble differ at 0, by what they were taught. Raises BadInput for n below 2.
    """
    if n < 2:
        raise BadInput(f"expected at least 2 predictions to compare, got {n}")
    drawn = model.predict(histories, actions, n=n, temperature=temperature, seed=seed)
    return [disagreement(predictions, structure) for predictions in drawn]


def disagreement(predictions: Sequence[Prediction], structure: Structure) -> float:
    """Return how far predictions of one step differ, in [0, 1]: 0 where all say the same.

    One minus the mean over pairs of the F1 of their elements, which is 0 where reward or end
    differ, or one of the two is not valid. A single prediction tells nothing: 0.
    """
    if len(predictions) < 2:
        return 0.0
    parts = [structure.elements(prediction.observation) for prediction in predictions]
    agreed = 0.0
    for one in range(len(predictions)):
        for other in range(one):
            a, b = predictions[one], predictions[other]
            if a.valid and b.valid and a.outcome[1:] == b.outcome[1:]:
                agreed += f1(parts[one], parts[other])
    return 1.0 - agreed / (len(predictions) * (len(predictions) - 1) / 2)


def _stream(history: History, seed: int) -> int:
    return stable_seed("predict", history.seed, seed, len(history.actions))
