"""A browser behind the proxy that ends TLS: cookies, forms, and the headers that nginx adds."""

from __future__ import annotations

import re
from html import unescape
from http.client import HTTPConnection
from typing import NamedTuple
from urllib.parse import urlencode, urljoin, urlsplit

HOST = "mail.example.com"
_HIDDEN = re.compile(r'name="(csrfmiddlewaretoken|next)" value="([^"]*)"')
_STYLES = re.compile(r'<link[^>]*href="([^"]+\.css)"')


class Page(NamedTuple):
    """An answer, after its redirects."""

    path: str
    status: int
    text: str
    type: str


class Browser:
    """One person's."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._cookies: dict[str, str] = {}

    def get(self, path: str) -> Page:
        """Open a page."""
        return self._ask("GET", path, "")

    def send(self, page: Page, **values: str) -> Page:
        """Send the form of a page."""
        hidden = {name: unescape(value) for name, value in _HIDDEN.findall(page.text)}
        return self._ask("POST", page.path, urlencode(hidden | values))

    def styles(self, page: Page) -> dict[str, int]:
        """The style sheets of a page, and how they are answered."""
        return {path: self.get(path).status for path in _STYLES.findall(page.text)}

    def _ask(self, method: str, path: str, body: str) -> Page:
        connection = HTTPConnection("127.0.0.1", self._port, timeout=30)
        headers = {
            "Host": HOST, "X-Forwarded-Proto": "https", "X-Forwarded-For": "198.51.100.7",
            "Referer": f"https://{HOST}{path}", "Cookie": "; ".join(f"{n}={v}" for n, v in self._cookies.items()),
        } | ({"Content-Type": "application/x-www-form-urlencoded"} if body else {})  # fmt: skip
        connection.request(method, path, body or None, headers)
        answer = connection.getresponse()
        for cookie in answer.msg.get_all("Set-Cookie") or []:
            name, _, value = cookie.partition(";")[0].partition("=")
            self._cookies[name] = value
        text = answer.read().decode("utf-8", "replace")
        connection.close()
        if answer.status in (301, 302):
            there = urlsplit(urljoin(f"https://{HOST}{path}", answer.headers["Location"]))
            assert (there.scheme, there.netloc) == ("https", HOST), answer.headers["Location"]
            return self.get(f"{there.path}?{there.query}" if there.query else there.path)
        return Page(path, answer.status, text, answer.headers.get_content_type())
