"""jlcm-generate as a user runs it: prompts and conversations, greedy tokens that are Hugging Face's, sampling, stops, limits,
batches, JSON, Ctrl-C, closed pipes, templates."""

import json
import os
import pty
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent / "support"))
from programs import ASSETS, SOURCE, call, command, environment, need_assets

need_assets()
STORIES = ASSETS / "lm/stories260k"
reference = json.loads((STORIES / "reference.json").read_text())
PROMPT = reference["prompt"]
GREEDY = ("--compute", "float32", "--cache", "float32", "--products", "exact")
CHATML = "{% for m in messages %}{{ '<|' + m.role + '|>' + m.content + '\\n' }}{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}"
Path("chatml.jinja").write_text(CHATML)


def records(*arguments, model=STORIES, **more):
    printed, _ = call("jlcm-generate", model, *arguments, "--json", **more)
    return [json.loads(line) for line in printed.splitlines()]


# Greedy tokens are those that were recorded, and the text is theirs.
(record,) = records(PROMPT, "--max-tokens", 40, *GREEDY)
assert record["prompt_ids"] == reference["prompt_ids"], record
assert record["ids"] == reference["greedy_ids"], record
assert PROMPT + record["text"] == reference["greedy_text"], record
assert record["ended_by"] == "max_tokens" and record["prompt_tokens"] == 5 and record["generated_tokens"] == 40, record
printed, said = call("jlcm-generate", STORIES, PROMPT, "--max-tokens", 40, *GREEDY)
assert printed == record["text"] + "\n", printed
assert "tokens/s" in said and "memory" in said, said
for threads in (1, 3):
    assert records(PROMPT, "--max-tokens", 40, *GREEDY, "--threads", threads)[0]["ids"] == record["ids"]

# From a file, from the standard input, several at once; each answer is what it is alone.
Path("prompt.txt").write_text(PROMPT)
assert records("--file", "prompt.txt", "--max-tokens", 40, *GREEDY)[0]["ids"] == record["ids"]
with open("prompt.txt") as standard_input:
    done = subprocess.run(command("jlcm-generate", STORIES, "--max-tokens", 40, *GREEDY), stdin=standard_input,
                          capture_output=True, text=True, env=environment(), check=True)
assert done.stdout == record["text"] + "\n", done.stdout
Path("prompts.txt").write_text(f"{PROMPT}\r\n\nThe dog\n{PROMPT} there\n")
batch = records("--prompts", "prompts.txt", "--max-tokens", 12, *GREEDY)
assert [each["prompt"] for each in batch] == [PROMPT, "The dog", PROMPT + " there"], batch
assert batch[0]["ids"] == record["ids"][:12]
for each in batch:
    assert records(each["prompt"], "--max-tokens", 12, *GREEDY)[0]["ids"] == each["ids"], each

# Sampling: seeds decide; every step is accepted.
sampled = ("--temperature", 1, "--top-k", 40, "--top-p", 0.95, "--min-p", 0.01, "--repetition-penalty", 1.1, "--max-tokens", 30)
first, second = (records(PROMPT, *sampled, "--seed", seed)[0]["ids"] for seed in (1, 2))
assert first != second and first == records(PROMPT, *sampled, "--seed", 1)[0]["ids"]
assert records(PROMPT, "--temperature", 1, "--top-k", 1, "--max-tokens", 40, *GREEDY)[0]["ids"] == record["ids"]

# Stops, also across tokens; the end of a story; the context.
(stopped,) = records(PROMPT, "--stop", "zebra", "--stop", "tle girl na", *GREEDY)
assert stopped["text"] == ", there was a lit" and stopped["ended_by"] == "stop_text", stopped
(full,) = records(PROMPT, "--context", 20, "--max-tokens", 0, *GREEDY)
assert full["ended_by"] == "context" and full["ids"] == record["ids"][:16], full
(ended,) = records(PROMPT, "--max-tokens", 0, *GREEDY)
assert ended["ended_by"] in ("end_token", "context"), ended
_, said = call("jlcm-generate", STORIES, PROMPT * 100, code=2)
assert "tokens, and the context holds 512" in said, said

# What is refused, by name.
for arguments, words in (
    (["--context", 513], "at most 512"),
    (["--temperature", -1, "--top-p", 0], "top-p"),
    (["--system", "x"], "add --chat"),
    (["--chat"], "chat template"),
    (["--chat", "--template", "nothing"], "'nothing' is neither"),
    (["--stop", ""], "stop text is empty"),
    (["--file", "prompt.txt"], "excludes"),
    (["--memory-limit", "much"], "much"),
):
    _, said = call("jlcm-generate", STORIES, PROMPT, *arguments, code=2)
    assert words in said, (arguments, said)
_, said = call("jlcm-generate", SOURCE / "tests/golden/transformers/bert", "a", code=2)
assert "generation needs a" in said or "tokenizer" in said, said
Path("bad.jinja").write_text("a\n{{ messages | frobnicate }}")
_, said = call("jlcm-generate", STORIES, PROMPT, "--chat", "--template", "bad.jinja", code=2)
assert "bad.jinja:2:15" in said and "'frobnicate'" in said, said
_, said = call("jlcm-generate", STORIES, PROMPT, "--memory-limit", "1M", code=2)
assert "the memory limit is 1M" in said and "--context" in said, said

# Templates: what the model reads is printed as transformers makes it (tests/golden/make_chat_templates.py), through jinja2
# where it is here.
try:
    from transformers.utils.chat_template_utils import _compile_jinja_template as compiled
except ImportError:
    compiled = None
    print("without transformers: templates are compared with the recorded texts alone")
Path("conversations").mkdir(exist_ok=True)
compared = 0
for case in json.loads((SOURCE / "tests/golden/chat_templates.json").read_text()):
    variables = case["variables"]
    if "messages" not in variables:
        continue
    Path("t.jinja").write_text(case["template"])
    Path("m.json").write_text(json.dumps(variables["messages"]))
    sets = [part for key, value in variables.items() if key not in ("messages", "documents" if variables.get("documents") is None else "")
            for part in ("--template-set", f"{key}={json.dumps(value)}")]
    arguments = [STORIES, "--chat", "--template", "t.jinja", "--messages", "m.json", *sets, "--print-prompt"]
    if compiled and "text" in case:
        assert compiled(case["template"]).render(**variables) == case["text"], case["name"]
    if compared % 4 == 0:  # programs take their time
        printed, _ = call("jlcm-generate", *arguments, code=0 if "text" in case else 2)
        assert "error" in case or printed == case["text"] + "\n", (case["name"], printed)
    compared += 1

# A conversation over pipes: the history is read again, answers too; a record per answer.
chat = [STORIES, "--chat", "--template", "chatml.jinja", "--system", "Tell.", "--max-tokens", 8, *GREEDY]
done = subprocess.run(command("jlcm-generate", *chat, "--json"), input="One\n\nTwo\n/clear\nOne", capture_output=True, text=True,
                      env=environment(), check=True)
answers = [json.loads(line) for line in done.stdout.splitlines()]
assert [each["prompt"] for each in answers] == ["One", "Two", "One"], answers
assert answers[0]["ids"] == answers[2]["ids"] and answers[0]["reused_tokens"] == 0, answers
assert answers[1]["prompt_tokens"] > answers[0]["prompt_tokens"] and answers[1]["reused_tokens"] > 0, answers
assert records(*chat[1:], "One")[0]["ids"] == answers[0]["ids"]

# On a terminal: Ctrl-C stops the answer, the conversation goes on, and Ctrl-C at the prompt ends it.
keyboard, terminal = pty.openpty()
process = subprocess.Popen(command("jlcm-generate", STORIES, "--chat", "--template", "chatml.jinja", "--max-tokens", 0, "--ignore-ends",
                                   "--context", 400), stdin=terminal, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment())
os.set_blocking(process.stdout.fileno(), False)
shown = b""


def until(holds, seconds=60):
    global shown
    end = time.monotonic() + seconds
    while not holds(shown):
        shown += process.stdout.read() or b""
        assert process.poll() is None, (shown, process.returncode, process.stderr.read())
        assert time.monotonic() < end, shown
        time.sleep(0.01)


until(lambda text: text == b"> ")
os.write(keyboard, b"Tell a story\n")
until(lambda text: len(text) > 20)
process.send_signal(signal.SIGINT)
until(lambda text: text.endswith(b"\n> "))
os.write(keyboard, b"/clear\nAnother\n")
before = shown.count(b"> ")
until(lambda text: text.count(b"> ") > before and not text.endswith(b"> "))
process.send_signal(signal.SIGINT)
until(lambda text: text.endswith(b"\n> "))
process.send_signal(signal.SIGINT)
assert process.wait(timeout=30) == 130, process.returncode
assert b"tokens/s" in process.stderr.read()

# Without a conversation Ctrl-C ends the program, with what there is. A pipe that closes and a disk that is full end it too.
Path("many.txt").write_text(f"{PROMPT}\n" * 2000)  # one text alone is over before a signal comes
process = subprocess.Popen(command("jlcm-generate", STORIES, "--prompts", "many.txt", "--max-tokens", 200),
                           stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment())
assert len(process.stdout.read(20)) == 20
process.send_signal(signal.SIGINT)
assert process.wait(timeout=30) == 130, process.returncode
assert b"tokens/s" in process.stderr.read()
process = subprocess.Popen(command("jlcm-generate", STORIES, "--prompts", "many.txt", "--max-tokens", 200),
                           stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment())
process.stdout.close()
assert process.wait(timeout=60) in (3, -signal.SIGPIPE), process.returncode
with open("/dev/full", "w") as full_disk:
    done = subprocess.run(command("jlcm-generate", STORIES, PROMPT, "--max-tokens", 5), stdout=full_disk, stderr=subprocess.PIPE,
                          text=True, env=environment())
assert done.returncode == 3 and "cannot be written" in done.stderr, done

# A file that is cut or written to while it is in use ends the program, by its name; one that another takes the place of does not.
Path("some.txt").write_text(f"{PROMPT}\n" * 10)


def while_in_use(change):
    shutil.rmtree("stories", ignore_errors=True)
    shutil.copytree(STORIES, "stories")
    process = subprocess.Popen(command("jlcm-generate", "stories", "--prompts", "some.txt", "--max-tokens", 100), stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment())
    assert process.stdout.read(10)
    change(Path("stories/model.safetensors"))
    return process, process.communicate(timeout=60)[1].decode()


def written_to(path):
    with path.open("r+b") as file:
        file.seek(path.stat().st_size // 2)
        file.write(bytes(100))


def replaced(path):
    Path("other").write_bytes(bytes(1000))
    os.replace("other", path)


for change, code, what in ((lambda path: os.truncate(path, 1000), 3, "model.safetensors: the file was cut"),
                           (written_to, 3, "model.safetensors: written to while in use"), (replaced, 0, "tokens/s")):
    process, said = while_in_use(change)
    assert process.returncode == code and what in said, (process.returncode, said)

# An artifact, and what Hugging Face makes of its export.
shutil.rmtree("out", ignore_errors=True)
call("jlcm-run", SOURCE / "configs/stories260k_2bit.yaml", "--set", "compress.learn=null", "--set", "compress.distill=null", "--set",
     "compress.bits=4", "--set", "evaluate.0.windows=4", "--out", "out")
(artifact,) = Path("out").glob("*/artifact.safetensors")
shutil.rmtree("exported", ignore_errors=True)
call("jlcm-export", artifact, "--format", "hf", "--type", "f32", "exported")
(ours,) = records(PROMPT, "--max-tokens", 40, *GREEDY, model=artifact)
assert ours["ids"] == records(PROMPT, "--max-tokens", 40, *GREEDY, model="exported")[0]["ids"]

try:
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer
except ImportError:
    print("without transformers: greedy tokens were compared with the recorded ones alone")
    sys.exit(0)
torch.set_num_threads(1)
PROMPTS = [PROMPT, "The dog", "Lily and Tom went to the", "One day, a big", "\"Hello,\" said the"]
for path, ours in ((STORIES, STORIES), (Path("exported"), artifact)):
    tokenizer, model = AutoTokenizer.from_pretrained(path), AutoModelForCausalLM.from_pretrained(path).eval()
    Path("prompts.txt").write_text("\n".join(PROMPTS))
    for prompt, made in zip(PROMPTS, records("--prompts", "prompts.txt", "--max-tokens", 64, *GREEDY, model=ours)):
        ids = tokenizer(prompt, return_tensors="pt").input_ids
        theirs = model.generate(ids, max_new_tokens=64, do_sample=False, pad_token_id=0)[0].tolist()
        assert made["prompt_ids"] + made["ids"] == theirs, (prompt, made["prompt_ids"] + made["ids"], theirs)
        whole = tokenizer.decode([each for each in theirs if each != tokenizer.eos_token_id], skip_special_tokens=True)
        assert prompt + made["text"] == whole, (prompt + made["text"], whole)
print("greedy tokens are those of transformers")
