"""An environment in a file of your own: `agentgym-si run my_env:my/Guess-v0 --policy random`."""

import gymnasium as gym

from agentgym_si.envs.base import TextEnv
from agentgym_si.errors import ActionError
from agentgym_si.types import Task


class GuessEnv(TextEnv):
    instructions = "Guess the number from 1 to 9. You are told whether it is higher or lower."
    examples = tuple("123456789")

    def tasks(self):
        return [Task("one-digit")]

    def start(self, task, rng):
        self.number = str(rng.integers(1, 10))
        return "What is the number?"

    def act(self, action):
        if action not in self.examples:
            raise ActionError("say a number from 1 to 9")
        if action == self.number:
            return "right", 1.0, True
        return "higher" if action < self.number else "lower", 0.0, False

    def oracle(self):
        return self.number


gym.register("my/Guess-v0", entry_point="my_env:GuessEnv")
