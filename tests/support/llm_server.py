"""A small real HTTP server that speaks OpenAI's completions, with vLLM's additions, and misbehaves on demand.

    with LlmServer(tokenizer) as server:
        server.fault("busy", times=3, headers={"Retry-After": "0.1"})
        ... ask server.url ...
        server.asked                                # bodies of questions, in the order in which they came

An answer depends on prompt and seed alone, so whoever asks twice gets the same.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


@dataclass
class Fault:
    """What happens to the next so many questions, after those that are skipped.

    kind: busy (429), status, drop, half, other (another model), hang, drip, missing, choices, cut, short, overflow, model.
    """

    kind: str
    times: int = 1
    skip: int = 0
    status: int = 500
    headers: dict[str, str] = field(default_factory=dict)


class LlmServer:
    """Serves on a free port of this machine while the context is open.

    Args:
        tokenizer: encodes and decodes; a tokenizers.Tokenizer.
        model: whose name it knows.
        kind: "vllm", or "openai" without vLLM's paths and fields.
        key: that a request must carry.
        stop: id that ends answers.
        shift: added to each id that /tokenize gives, to be another tokenizer.
    """

    def __init__(
        self,
        tokenizer: Any,
        model: str = "tuned",
        kind: str = "vllm",
        key: str = "",
        stop: int = 0,
        shift: int = 0,
        port: int = 0,
    ) -> None:
        self.tokenizer, self.model, self.kind, self.key = tokenizer, model, kind, key
        self.stop, self.shift, self.context = stop, shift, 4096
        self.faults: list[Fault] = []
        self.asked: list[dict[str, Any]] = []
        self.paths: list[str] = []
        self.seconds = 0.0  # that an answer takes
        # the text of an answer, of the question's text and its seed
        self.says: Callable[[str, int], str] | None = None
        self.out = self.most = 0
        self.limit: int | None = None  # questions at once, beyond which it is busy
        self.refused = 0
        self.lock, self.closing = threading.Lock(), threading.Event()
        handler = type("BoundHandler", (_Handler,), {"llm": self})
        self.server = _Server(("127.0.0.1", port), handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"

    def fault(self, kind: str, **how: Any) -> None:
        self.faults.append(Fault(kind, **how))

    def __enter__(self) -> LlmServer:
        threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.closing.set()
        self.server.shutdown()
        self.server.server_close()

    def next_fault(self) -> Fault | None:
        with self.lock:
            for one in self.faults:
                if one.skip:
                    one.skip -= 1
                elif one.times:
                    one.times -= 1
                    return one
        return None

    def answer(self, body: dict[str, Any]) -> dict[str, Any]:
        prompt = body.get("prompt", body.get("messages"))
        number = sum(map(ord, json.dumps(prompt))) + body.get("seed", 0) % 1000
        text = f"<think>\nIt is {number}.\n</think>\n\nThe answer is {number}."
        if self.says and "messages" in body:
            text = self.says(body["messages"][-1]["content"], body.get("seed", 0))
        ids = [*self.tokenizer.encode(text, add_special_tokens=False).ids, self.stop]
        finish = "stop"
        if len(ids) > body["max_tokens"]:
            ids, finish = ids[: body["max_tokens"]], "length"
            text = self.tokenizer.decode(ids)
        if "messages" in body:
            thoughts, closed, rest = text.removeprefix("<think>\n").partition("\n</think>\n\n")
            message = {"content": text}
            if closed and text[0] == "<":
                message = {"content": rest, "reasoning_content": thoughts}
            choice = {"message": {"role": "assistant", **message}}
            size = 10
        else:
            choice = {"text": text}
            size = len(prompt) if isinstance(prompt, list) else len(self.tokenizer.encode(prompt).ids)
        choice |= {"index": 0, "finish_reason": finish}
        if self.kind == "vllm" and "text" in choice:
            choice |= {"token_ids": ids, "stop_reason": None}
        usage = {"prompt_tokens": size + self.shift, "completion_tokens": len(ids)}
        return {
            "id": "1",
            "object": "text_completion",
            "model": self.model,
            "choices": [choice],
            "usage": usage,
        }


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 256

    def handle_error(self, *_: object) -> None:
        """Clients hang up, killed ones among them."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    llm: LlmServer

    def log_message(self, *_: object) -> None:
        """Not to the terminal."""

    def setup(self) -> None:
        super().setup()
        self.disable_nagle_algorithm = True

    def do_GET(self) -> None:
        llm = self.llm
        llm.paths.append(self.path)
        if self.path == "/version" and llm.kind == "vllm":
            self.say(200, {"version": "0.32.0"})
        elif self.path == "/health":
            self.say(200, {})
        elif self.path == "/v1/models":
            self.say(200, {"data": [{"id": llm.model, "max_model_len": llm.context}]})
        else:
            self.say(404, {"detail": "Not Found"})

    def do_POST(self) -> None:
        llm = self.llm
        llm.paths.append(self.path)
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        if llm.key and self.headers.get("Authorization") != f"Bearer {llm.key}":
            # as OpenAI does, it repeats the key
            self.say(401, {"error": {"message": f"Incorrect API key: {self.headers.get('Authorization')}"}})
        elif self.path == "/tokenize" and llm.kind == "vllm":
            ids = llm.tokenizer.encode(body["prompt"], add_special_tokens=False).ids
            self.say(200, {"tokens": [one + llm.shift for one in ids]})
        elif self.path in ("/v1/completions", "/v1/chat/completions"):
            self.question(body)
        else:
            self.say(404, {"detail": "Not Found"})

    def question(self, body: dict[str, Any]) -> None:
        llm = self.llm
        with llm.lock:
            llm.asked.append(body)
            llm.out += 1
            llm.most = max(llm.most, llm.out)
            crowded = llm.limit is not None and llm.out > llm.limit
            llm.refused += crowded
        try:
            if crowded:
                self.say(429, {"error": {"message": "too many requests"}})
                return
            fault = llm.next_fault()
            if fault and self.failed(fault, body):
                return
            time.sleep(llm.seconds)
            self.say(200, llm.answer(body))
        finally:
            with llm.lock:
                llm.out -= 1

    def failed(self, fault: Fault, body: dict[str, Any]) -> bool:
        """Whether the fault has taken the answer's place."""
        whole = self.llm.answer(body)
        choice, whole_text = whole["choices"][0], json.dumps(whole).encode()
        match fault.kind:
            case "busy":
                self.say(429, {"error": {"message": "too many requests"}}, fault.headers)
            case "status":
                self.say(fault.status, {"error": {"message": "it broke"}}, fault.headers)
            case "drop":
                self.close_connection = True
            case "hang":
                self.llm.closing.wait(30)
                self.close_connection = True
            case "half":
                self.send(200, whole_text[: len(whole_text) // 2])
            case "drip":
                self.send_response(200)
                self.send_header("Content-Length", str(len(whole_text)))
                self.end_headers()
                for byte in whole_text:
                    self.wfile.write(bytes([byte]))
                    self.wfile.flush()
                    if self.llm.closing.wait(0.2):
                        break
            case "other":
                self.say(200, whole | {"model": "tuned-by-somebody"})
            case "missing":
                self.say(200, whole | {"choices": [choice | {"text": None}]})
            case "choices":
                self.say(200, whole | {"choices": []})
            case "cut":
                self.say(200, whole | {"choices": [choice | {"finish_reason": "abort"}]})
            case "short":
                usage = {"prompt_tokens": 9, "completion_tokens": 3}
                self.say(200, whole | {"choices": [choice | {"finish_reason": "length"}], "usage": usage})
            case "overflow":
                said = "This model's maximum context length is 64 tokens. However, you requested 99 tokens"
                self.say(400, {"error": {"message": said, "code": "context_length_exceeded"}})
            case "model":
                self.say(404, {"error": {"message": f"The model `{body['model']}` does not exist."}})
            case _:
                raise AssertionError(fault)
        return True

    def say(self, status: int, body: Any, headers: dict[str, str] | None = None) -> None:
        self.send(status, json.dumps(body).encode(), headers)

    def send(self, status: int, data: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Length": str(len(data)), **(headers or {})}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)
