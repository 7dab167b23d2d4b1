"""lm-evaluation-harness on the packed runtime: the model class `jlcm`.

    python -m jlcm.lm_eval --model jlcm --model_args path=artifact.safetensors --tasks piqa

is the harness's own program with this class registered, which it has no entry points for; in Python `import jlcm.lm_eval`
registers it. model_args:

    path      an artifact, a GGUF file or a Hugging Face folder
    compute   auto (default), float32 or bfloat16, as jlcm-eval has it
    bos       true: the token that begins texts stands in front of contexts, as jlcm-eval's option `bos`
    max_gen_toks   most tokens of an answer where a task does not say it; 256
"""

from __future__ import annotations

import functools
from typing import Any

from lm_eval.__main__ import cli_evaluate
from lm_eval.api.instance import Instance
from lm_eval.api.model import TemplateLM
from lm_eval.api.registry import register_model
from lm_eval.utils import get_rolling_token_windows, make_disjoint_window

import jlcm
from jlcm.errors import require
from jlcm.model import Compute


@register_model("jlcm")
class JlcmLM(TemplateLM):
    """Figures of a task that is run alone are jlcm-eval's to the bit: texts are tokenized and batched alike."""

    def __init__(
        self,
        path: str,
        compute: Compute = "auto",
        bos: bool = False,
        max_gen_toks: int = 256,
        batch_size: Any = None,  # the harness passes these on; forwards hold as many texts as suit the processor
        max_batch_size: Any = None,
        device: Any = None,
    ):
        super().__init__()
        self.model = jlcm.open(path)
        self.compute = compute
        self.bos = bos
        self.max_gen_toks = max_gen_toks
        self.max_length = self.model.vocabulary.max_positions

    @property
    def eot_token_id(self) -> int:
        vocabulary = self.model.vocabulary
        token = vocabulary.begin if vocabulary.end is None else vocabulary.end
        require(token is not None, f"{self.model.path}: the tokenizer names no token that begins or ends texts")
        return token  # type: ignore[return-value]

    @property
    def prefix_token_id(self) -> int:
        begin = self.model.vocabulary.begin
        return self.eot_token_id if begin is None else begin

    @functools.cached_property
    def tokenizer(self) -> Any:  # type: ignore[override]
        """Hugging Face's, for chat templates alone."""
        import jlcm.transformers

        return jlcm.transformers.tokenizer(self.model)

    @property
    def tokenizer_name(self) -> str:
        return self.model.vocabulary.sha256

    def apply_chat_template(self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True) -> str:
        return self.tokenizer.apply_chat_template(
            chat_history,
            tokenize=False,
            add_generation_prompt=add_generation_prompt,
            continue_final_message=not add_generation_prompt,
        )

    def tok_encode(self, string: str, add_special_tokens: bool | None = None, **_: Any) -> list[int]:
        ids = self.model.encode(string).tolist()
        begin = self.model.vocabulary.begin
        wanted = self.bos if add_special_tokens is None else add_special_tokens
        return [begin, *ids] if wanted and begin is not None and ids[:1] != [begin] else ids

    def _loglikelihood_tokens(
        self, requests: list[tuple[tuple[str, str], list[int], list[int]]], **_: Any
    ) -> list[tuple[float, bool]]:
        return self._score([_tokens(context, continuation, self.max_length) for _, context, continuation in requests])

    def loglikelihood(self, requests: list[Instance], disable_tqdm: bool = False) -> list[tuple[float, bool]]:
        texts = [request.args for request in requests]
        scores = self._score([self.model.encode_continuation(*text, begin_token=self.bos) for text in texts])
        for text, score in zip(texts, scores):
            self.cache_hook.add_partial("loglikelihood", text, score)
        return scores

    def loglikelihood_rolling(self, requests: list[Instance], disable_tqdm: bool = False) -> list[float]:
        windows, counts = [], []
        for request in requests:
            (text,) = request.args
            own = get_rolling_token_windows(self.tok_encode(text), self.prefix_token_id, self.max_length, context_len=1)
            own = [make_disjoint_window(window) for window in own]
            windows += [_tokens(before, scored, self.max_length) for before, scored in own]
            counts.append(len(own))
        scores = iter(self._score(windows))
        return [sum(next(scores)[0] for _ in range(count)) for count in counts]

    def generate_until(self, requests: list[Instance], disable_tqdm: bool = False) -> list[str]:
        answers = []
        for request in requests:
            context, options = request.args
            answers.append(self._generate(context, dict(options)))
            self.cache_hook.add_partial("generate_until", request.args, answers[-1])
        return answers

    def _score(self, tokens: list[jlcm.Tokens]) -> list[tuple[float, bool]]:
        scores = self.model.score(tokens, compute=self.compute)
        return [(score.log_likelihood, score.greedy) for score in scores]

    def _generate(self, context: str, options: dict[str, Any]) -> str:
        names = ("max_gen_toks", "max_new_tokens", "max_tokens", "max_completion_tokens")
        lengths = [options[name] for name in names if name in options]
        length = int(lengths[0]) if lengths else self.max_gen_toks
        require(length < self.max_length, f"an answer of {length} tokens; the model's texts have {self.max_length}")
        until = options.get("until") or []
        warmth = {}
        if options.get("do_sample", options.get("temperature", 0) > 0):
            known = ("temperature", "top_k", "top_p", "min_p", "repetition_penalty", "seed")
            warmth = {"temperature": 1.0, **{name: options[name] for name in known if name in options}}
        ids = self.tok_encode(context)[length - self.max_length :] or [self.prefix_token_id]
        stop = [until] if isinstance(until, str) else [text for text in until if text]
        return self.model.generate(ids, max_tokens=length, stop=stop, exact=self.compute == "float32", **warmth)


def _tokens(context: list[int], continuation: list[int], longest: int) -> jlcm.Tokens:
    """At most `longest` tokens are read, of which the last is not."""
    ids = [*context, *continuation][-(longest + 1) :]
    return jlcm.Tokens(ids, len(ids) - len(continuation))


if __name__ == "__main__":
    cli_evaluate()
