"""What can go wrong in the agent, grouped by what the caller can do.

AgentError
├── ConfigError               give up: the config file has mistakes, all of them named
├── ModelLoadError            give up: the model can't be loaded
├── CalibrationFailedError    give up: no head of the model finds what is asked about
├── BrokerStartError          give up: the embedded broker can't listen on its port
├── InvalidQuestionError      tell the asker: the question can't be read
├── CommandRefusedError       tell who sent it: the command can't be obeyed
├── AnswerTimeoutError        tell the asker: no answer within the deadline
├── TooManyQuestionsError     tell the asker: ask again later
├── TooOftenError             tell the asker: ask less often
└── BrokerUnavailableError    retry: the broker does not answer
"""

from collections.abc import Sequence
from dataclasses import dataclass


class AgentError(Exception):
    """Base of all errors of this package."""


@dataclass(frozen=True, slots=True)
class Mistake:
    """One thing wrong in a config file.

    Attributes:
        key: Dotted path of the setting, empty for the file as a whole.
        line: Line of the file, from 1, or None if the file has no such line.
        text: What was found and what is allowed, without any secret.
    """

    key: str
    line: int | None
    text: str

    def __str__(self) -> str:
        where = [f"line {self.line}"] if self.line is not None else []
        where += [self.key] if self.key else []
        return f"{', '.join(where)}: {self.text}" if where else self.text


class ConfigError(AgentError, ValueError):
    """Raised when a config file can't be used; names every mistake in it."""

    def __init__(self, source: str, mistakes: Sequence[Mistake]) -> None:
        self.source, self.mistakes = source, tuple(mistakes)
        count = "1 mistake" if len(mistakes) == 1 else f"{len(mistakes)} mistakes"
        lines = "".join(f"\n  {mistake}" for mistake in mistakes)
        super().__init__(f"{source} has {count}:{lines}")


class ModelLoadError(AgentError):
    """Raised when a model can't be found, read or put on its device."""

    def __init__(self, model: str, reason: str) -> None:
        self.model, self.reason = model, reason
        super().__init__(f"can't load model {model}: {reason}")


class CalibrationFailedError(AgentError):
    """Raised when no head of a model finds the right chunk much better than chance."""

    def __init__(self, model: str, recall: float, chance: float) -> None:
        self.model, self.recall, self.chance = model, recall, chance
        super().__init__(
            f"no heads of {model} find what is asked about: the best find"
            f" {recall:.0%} of the chunks at once, chance {chance:.0%}"
        )


class BrokerStartError(AgentError):
    """Raised when the embedded broker can't listen, mostly because of a taken port."""

    def __init__(self, port: int, reason: str) -> None:
        self.port, self.reason = port, reason
        super().__init__(f"can't start the MQTT broker on port {port}: {reason}")


class InvalidQuestionError(AgentError, ValueError):
    """Raised when a question can't be read; `code` is what the asker gets."""

    def __init__(self, code: str, reason: str) -> None:
        self.code, self.reason = code, reason
        super().__init__(reason)


class CommandRefusedError(AgentError, ValueError):
    """Raised when a command can't be obeyed; `code` is for programs."""

    def __init__(self, code: str, reason: str) -> None:
        self.code, self.reason = code, reason
        super().__init__(reason)


class AnswerTimeoutError(AgentError, TimeoutError):
    """Raised when no answer came within the deadline."""

    code = "timeout"

    def __init__(self, deadline_s: float) -> None:
        self.deadline_s = deadline_s
        super().__init__(f"no answer within {deadline_s:g} s")


class TooManyQuestionsError(AgentError):
    """Raised when more questions wait than the agent takes."""

    code = "too_many_questions"

    def __init__(self, max_questions: int) -> None:
        self.max_questions = max_questions
        super().__init__(f"{max_questions} questions wait already, ask again later")


class TooOftenError(AgentError):
    """Raised when somebody asks more often than the agent lets each."""

    code = "too_often"

    def __init__(self, per_minute: int) -> None:
        self.per_minute = per_minute
        super().__init__(f"{per_minute} questions a minute are allowed, ask later")


class BrokerUnavailableError(AgentError, ConnectionError):
    """Raised when the broker can't be reached, refuses us, or goes away."""

    def __init__(self, where: str, reason: str) -> None:
        self.where, self.reason = where, reason
        super().__init__(f"MQTT broker {where} is unavailable: {reason}")
