"""`make demo`: one spec to four targets, one edited limit as a semantic diff, and a running proxy that answers two requests."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import urllib.request
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
SPEC = ROOT / "examples" / "support-desk"
BUILD = ROOT / "build"


def say(text: str) -> None:
    print(f"\n\033[1m{text}\033[0m" if sys.stdout.isatty() and not os.environ.get("NO_COLOR") else f"\n{text}")


def run(*arguments: str) -> None:
    print(f"$ aigw-compile {' '.join(arguments)}", flush=True)
    subprocess.run([sys.executable, "-m", "aigw_compile", *arguments], cwd=ROOT, check=True)


def edited() -> Path:
    """A copy of the example in which one limit is higher."""
    copy = BUILD / "edited"
    shutil.rmtree(copy, ignore_errors=True)
    copy.mkdir(parents=True)
    for name in ("gateway.yaml", "aigw-compile.yaml"):
        text = (SPEC / name).read_text("utf-8")
        (copy / name).write_text(text.replace("tokens: 2000000", "tokens: 3000000"), "utf-8")
    return copy


def ask(url: str, key: str, stream: bool) -> None:
    """Send one chat request and print what comes back."""
    body = {"model": "gpt-4o", "stream": stream, "messages": [{"role": "user", "content": "Where is my order?"}]}
    request = urllib.request.Request(
        f"{url}/v1/chat/completions",
        json.dumps(body).encode(),
        {"content-type": "application/json", "authorization": f"Bearer {key}"},
    )
    with urllib.request.urlopen(request, timeout=30) as answer:
        if not stream:
            reply = json.load(answer)
            print(f"{answer.status} {reply['model']}: {reply['choices'][0]['message']['content']}")
            print(f"usage: {reply['usage']}")
            return
        print(f"{answer.status}, as it comes: ", end="")
        for line in answer:
            if line.startswith(b"data: {"):
                for choice in json.loads(line[6:])["choices"]:
                    print(choice["delta"].get("content") or "", end="|", flush=True)
            elif line.startswith(b"data:"):
                print(f" {line.decode().rstrip()}")


def serve_and_ask() -> None:
    command = [sys.executable, "-m", "aigw_compile", "serve", str(SPEC), "--mock-providers", "--port", "0"]
    print("$ aigw-compile serve examples/support-desk --mock-providers --port 0", flush=True)
    proxy = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert proxy.stdout
    try:
        url = key = ""
        for line in proxy.stdout:
            if line.startswith("listener public:"):
                url = line.split()[-1].strip()
            if line.startswith("key of helpdesk-bot:"):
                key = line.split()[-1].strip()
            if '"ready"' in line:
                break
            print(line.rstrip())
        if not (url and key):
            sys.exit("the proxy did not start")
        say("one chat request")
        ask(url, key, stream=False)
        say("one streamed")
        ask(url, key, stream=True)
    finally:
        proxy.terminate()
        proxy.stdout.read()
        proxy.wait(10)
    print(f"\nthe proxy stopped with {proxy.returncode}")
    if proxy.returncode:
        sys.exit(1)


def main() -> None:
    shutil.rmtree(BUILD / "support-desk", ignore_errors=True)
    say("1. One spec, four targets")
    run("build", "examples/support-desk", "--output", "build")
    for path in sorted((BUILD / "support-desk").rglob("*")):
        if path.is_file():
            print(f"  {path.relative_to(ROOT)}  {len(path.read_text('utf-8').splitlines())} lines")
    say("2. One limit edited: what does it mean?")
    run("diff", "examples/support-desk", str(edited().relative_to(ROOT)))
    say("3. The reference proxy, with built-in mock providers")
    serve_and_ask()


if __name__ == "__main__":
    main()
