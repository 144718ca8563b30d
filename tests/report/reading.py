"""Read a page as a strict reader would: every element closed, nothing fetched, nothing run."""

from html.parser import HTMLParser

VOID = {"meta", "link", "br", "hr", "img", "input"}
FETCHING = {"src", "href", "xlink:href", "data", "action", "poster", "srcset"}


class PageReader(HTMLParser):
    """Collects what a page holds; fails on elements that are closed in another order than they were opened."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: list[str] = []
        self.ids: list[str] = []
        self.references: list[str] = []
        self.handlers: list[str] = []
        self.headings: list[str] = []
        self.words = ""
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.open += [] if tag in VOID else [tag]
        self._attributes(attrs)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert "svg" in self.open
        self.tags.append(tag)
        self._attributes(attrs)

    def _attributes(self, attrs: list[tuple[str, str | None]]) -> None:
        names = [name for name, _ in attrs]
        assert len(set(names)) == len(names)
        self.references += [value or "" for name, value in attrs if name in FETCHING]
        self.ids += [value or "" for name, value in attrs if name == "id"]
        self.handlers += [name for name in names if name.startswith("on")]

    def handle_endtag(self, tag: str) -> None:
        assert self.open[-1] == tag, f"</{tag}> closes <{self.open[-1]}>"
        self.open.pop()

    def handle_data(self, data: str) -> None:
        if "style" in self.open:
            assert "url(" not in data
            assert "@import" not in data
            return
        if {"h2", "h3", "summary"} & set(self.open):
            self.headings.append(data.strip())
        self.words += f"{data} "


def read(text: str) -> PageReader:
    """The page, after the checks that every page must pass."""
    page = PageReader(text)
    assert text.startswith("<!DOCTYPE html>")
    assert not {"script", "iframe", "object", "embed", "img", "base", "form"} & set(page.tags)
    assert page.handlers == []
    assert all(reference.startswith(("#", "data:")) for reference in page.references)
    assert len(set(page.ids)) == len(page.ids)
    assert {reference[1:] for reference in page.references if reference.startswith("#")} <= set(page.ids)
    return page
