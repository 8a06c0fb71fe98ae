"""The report as a page, in a real Chromium: loaded from its file, clicked, typed at, and held against the run."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Protocol

import pytest
from support.browser import Browser, Keys, browser

from orchestrator.board import Board, ConsoleLine
from orchestrator.config import Settings
from orchestrator.report.page import error_as_html, to_html
from orchestrator.report.record import Record, WallClock, record_of
from orchestrator.trace import FaultMark, RingReplay, Trace, TraceCollector

pytestmark = [
    pytest.mark.needs_command("chromium", "chromium"),
    pytest.mark.needs_command("chromedriver", "chromium-driver"),
    pytest.mark.xdist_group("browser"),
]

DARK, LIGHT = "rgb(20, 22, 26)", "rgb(247, 247, 245)"
HOSTILE = "</script><script>window.hacked = 1</script><img src=x onerror='window.hacked = 2'> \" ' <!-- \u2028 &lt;"


class Pair(Protocol):
    main: Path
    remote: Path


@dataclass(frozen=True)
class Run:
    """A run, and its page in a file."""

    record: Record
    trace: Trace
    page: Path


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    with browser() as started:
        yield started


@pytest.fixture(scope="module")
def ran(firmware: Callable[..., Pair], tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Run]:
    """``ran(variant)``: the pair, run once, and its page."""
    folder = tmp_path_factory.mktemp("pages")

    @cache
    def run(variant: str) -> Run:
        pair = firmware(variant)
        with Board(main=str(pair.main), remote=str(pair.remote)) as board:
            collector = TraceCollector(board)
            board.run()
            settings = Settings(main=str(pair.main), remote=str(pair.remote))
            record = record_of(board, settings, WallClock("", 0.0), collector.trace())
        assert record.trace is not None
        page = folder / f"{variant}.html"
        page.write_text(to_html(record, record.trace), encoding="utf-8")
        return Run(record, record.trace, page)

    return run


def moment(chromium: Browser) -> float:
    """The selected moment in ms, as the bar says it."""
    return float(chromium.text("#now").removesuffix(" ms"))


def indices(chromium: Browser, ring: str) -> tuple[int, int]:
    """``avail.idx`` and ``used.idx`` of a ring as the page draws it."""
    text = chromium.js(
        "return document.querySelector(`section[aria-label='${arguments[0]}'] .indices`).textContent", ring
    )
    found = re.match(r"avail\.idx (\d+).*?used\.idx (\d+)", text)
    assert found is not None, text
    return int(found[1]), int(found[2])


@pytest.mark.parametrize("variant", ["demo", "two-vdevs", "wrong-channel", "crash-remote", "dead-remote", "lockup"])
@pytest.mark.parametrize("width", [1440, 800, 360])
def test_nothing_is_complained_of_and_nothing_sticks_out(
    chromium: Browser, ran: Callable[[str], Run], variant: str, width: int
) -> None:
    run = ran(variant)
    chromium.open(run.page, width=width)
    chromium.settle()
    assert chromium.complaints() == []
    assert chromium.text("h1") == run.record.verdict.headline
    assert chromium.js("return document.documentElement.scrollWidth") == width
    inside = "return [...document.querySelectorAll('.card, .cause, #bar')].every(e => e.scrollWidth <= e.clientWidth)"
    assert chromium.js(inside)


def test_what_cannot_run_is_a_page_too(chromium: Browser, tmp_path: Path) -> None:
    page = tmp_path / "none.html"
    page.write_text(error_as_html(Settings(main="none.elf", remote="<b>.elf"), "none.elf: cannot be read"))
    chromium.open(page)
    assert chromium.complaints() == []
    assert chromium.text("h1") == "rptwin could not run"
    assert chromium.text(".summary") == "none.elf: cannot be read"
    assert chromium.text(".files") == "mainnone.elfremote<b>.elf"
    assert not chromium.find("#timeline-card").is_displayed()


def test_the_page_of_the_demo_is_small_and_repeats(ran: Callable[[str], Run]) -> None:
    run = ran("demo")
    text = run.page.read_text(encoding="utf-8")
    assert len(text.encode()) < 500_000
    assert to_html(run.record, run.trace) == text


def test_a_finding_leads_to_its_moment(chromium: Browser, ran: Callable[[str], Run]) -> None:
    run = ran("wrong-channel")
    ignored = [each for each in run.trace.notifications if each.ignored and each.target == "cpu_cm4"]
    chromium.open(run.page)
    chromium.press(Keys.HOME)
    assert moment(chromium) == 0
    chromium.click(".cause header .moment")
    assert moment(chromium) == ignored[-1].sent_ns / 1e6
    assert "notifies remote: hsem channel 5, not enabled there" in chromium.text("#here li[aria-current].bad")
    assert chromium.js(
        "const box = document.getElementById('timeline-canvas').getBoundingClientRect();"
        "return box.top >= 0 && box.top < innerHeight"
    )


def test_a_cause_says_where_and_what_to_change(chromium: Browser, ran: Callable[[str], Run]) -> None:
    chromium.open(ran("wrong-channel").page)
    cause = chromium.text(".cause")
    assert "firmware/boards/stm32h745/mailbox.c:" in cause
    assert "use the channel that the receiver listens to" in cause
    assert chromium.find(".cause a[rel]").get_attribute("href") == "https://github.com/Xilinx/linux-xlnx/issues/51"
    assert chromium.text(".cause a[rel]") == "Xilinx/linux-xlnx #51"
    assert len(chromium.every(".hence li")) == 3


@pytest.mark.parametrize("variant", ["demo", "two-vdevs"])
def test_the_rings_are_what_they_were_at_each_moment(
    chromium: Browser, ran: Callable[[str], Run], variant: str
) -> None:
    run = ran(variant)
    (pair,) = run.trace.pairs
    replays = {ring: RingReplay(pair, ring) for ring in ("vdev[0].vring[0]", "vdev[0].vring[1]")}
    chromium.open(run.page)
    if variant == "two-vdevs":
        chromium.click("#vdevs button[aria-pressed=false]")
    last = int(chromium.find("#slider").get_attribute("max") or 0)
    shown = set()
    for step in [*range(0, last, max(1, last // 40)), last]:
        chromium.js("const s = arguments[0]; s.value = arguments[1]; s.dispatchEvent(new Event('input'))",
                    chromium.find("#slider"), step)  # fmt: skip
        chromium.settle()
        now = round(moment(chromium) * 1e6)
        shown.add(now)
        for ring, replay in replays.items():
            state = replay.at(now)
            if state is not None:
                assert indices(chromium, ring) == (state.queue.avail_idx, state.queue.used_idx), (ring, now)
    assert len(shown) > 30


def test_whose_each_descriptor_is_at_the_end_is_what_the_observer_says(
    chromium: Browser, ran: Callable[[str], Run]
) -> None:
    run = ran("demo")
    chromium.open(run.page, at=f"#t={run.trace.ended_ns}")
    for path, traffic in run.record.run.traffic.rings.items():
        owners = chromium.js(
            "return [...document.querySelectorAll(`section[aria-label='${arguments[0]}'] tbody .owner`)]"
            ".map(e => e.textContent)",
            path,
        )
        assert {i for i, owner in enumerate(owners) if owner == "device"} == set(traffic.outstanding)


def test_rings_of_the_vdev_in_which_something_moved_are_shown_until_another_is_chosen(
    chromium: Browser, ran: Callable[[str], Run]
) -> None:
    run = ran("two-vdevs")
    first, last = (
        next(each for each in run.trace.pairs[0].messages if each.ring.startswith(f"vdev[{n}]")) for n in (0, 1)
    )
    titles = "return [...document.querySelectorAll('.ring h3')].map(e => e.textContent)"
    chromium.open(run.page, at=f"#t={first.sent_ns}")
    assert chromium.js(titles) == ["vdev[0].vring[0]", "vdev[0].vring[1]"]
    chromium.js(f"location.hash = '#t={last.sent_ns}'")
    chromium.until("document.querySelector('.ring h3').textContent === 'vdev[1].vring[0]'")
    chromium.click("#vdevs button:first-child")
    assert chromium.js(titles) == ["vdev[0].vring[0]", "vdev[0].vring[1]"]
    chromium.click("#vdevs button:first-child")
    assert chromium.js(titles) == ["vdev[1].vring[0]", "vdev[1].vring[1]"]


def test_steps_go_from_change_to_change(chromium: Browser, ran: Callable[[str], Run]) -> None:
    run = ran("demo")
    (pair,) = run.trace.pairs
    times = sorted({each.time_ns for each in (*pair.ring_changes,)} | {each.since_ns for each in pair.shapes})
    chromium.open(run.page, at="#t=0")
    seen = []
    for _ in range(5):
        chromium.press("]")
        seen.append(round(moment(chromium) * 1e6))
    assert seen == times[:5]
    chromium.click("button[data-act='previous-change']")
    assert round(moment(chromium) * 1e6) == times[3]
    assert chromium.text("#change-count") == f"ring change 4 of {len(times)}"


def test_a_buffer_is_shown_as_the_message_that_went_through_it(chromium: Browser, ran: Callable[[str], Run]) -> None:
    run = ran("demo")
    announced = next(each for each in run.trace.pairs[0].messages if each.text)
    chromium.open(run.page, at=f"#t={announced.sent_ns}")
    shown = chromium.text("#buffer")
    assert f"{announced.ring} desc[{announced.head}]" in shown
    assert "create rptwin-echo at 1024" in shown
    assert f"src {announced.src}, dst 53, len 40" in shown
    assert "72 70 74 77 69 6e 2d 65 63 68 6f 00" in chromium.text(".hex")
    assert "rptwin-echo" in chromium.text(".hex")
    chromium.click(f"section[aria-label='{announced.ring}'] tr:nth-child(8) th button")
    assert f"{announced.ring} desc[7]" in chromium.text("#buffer")
    chromium.click("#buffer button.quiet")
    assert f"{announced.ring} desc[{announced.head}]" in chromium.text("#buffer")


def test_consoles_and_the_moment_lead_to_each_other(chromium: Browser, ran: Callable[[str], Run]) -> None:
    run = ran("demo")
    timed = [each for each in run.trace.lines if each.time_ns is not None]
    chromium.open(run.page)
    chromium.js("document.querySelectorAll('#lines li:not([hidden]) button')[3].click()")
    chromium.settle()
    assert moment(chromium) == timed[3].time_ns / 1e6
    assert chromium.text("#lines [aria-current] .line-text") == timed[3].text
    chromium.press(Keys.END)
    assert chromium.text("#lines [aria-current] .line-text") == timed[-1].text


def test_consoles_are_filtered(chromium: Browser, ran: Callable[[str], Run]) -> None:
    chromium.open(ran("demo").page)
    visible = "return [...document.querySelectorAll('#lines li:not([hidden]) .line-console')].map(e => e.textContent)"
    assert set(chromium.js(visible)) == {"main", "remote"}  # the trace buffer says the same as a console
    chips = {chip.text: chip for chip in chromium.every(".chip")}
    chromium.js("arguments[0].click()", chips["main"])
    assert set(chromium.js(visible)) == {"remote"}
    chromium.js("arguments[0].click()", chips["remote.trace"])
    assert set(chromium.js(visible)) == {"remote", "remote.trace"}
    chromium.press("/")
    chromium.press(*"driver ok")
    assert set(chromium.js(visible)) == {"remote", "remote.trace"}
    assert all("driver ok" in each.text for each in chromium.every("#lines li:not([hidden])"))
    assert chromium.text("#line-count") == "2 of 14 lines"


def test_every_control_does_something_and_complains_of_nothing(chromium: Browser, ran: Callable[[str], Run]) -> None:
    chromium.open(ran("wrong-channel").page)
    state = ("return document.getElementById('window-text').textContent + document.getElementById('now').textContent + "
             "document.documentElement.dataset.theme + document.getElementById('help').open")  # fmt: skip
    acts = chromium.js("return [...new Set([...document.querySelectorAll('[data-act]')].map(e => e.dataset.act))]")
    assert len(acts) == 13
    for number, act in enumerate(sorted(acts, key=lambda each: each == "help")):
        chromium.js(f"location.hash = '#t={100_000 + number}'")
        chromium.settle()
        chromium.click("button[data-act='whole']")
        chromium.click("button[data-act='zoom-in']")
        if act == "zoom-in":
            chromium.click("button[data-act='fit']")
        before = chromium.js(state)
        chromium.click(f"button[data-act='{act}']")
        assert chromium.js(state) != before, act
    chromium.click("#help button")
    assert not chromium.js("return document.getElementById('help').open")
    assert chromium.complaints() == []


def test_keys_do_what_the_help_says(chromium: Browser, ran: Callable[[str], Run]) -> None:
    run = ran("wrong-channel")
    chromium.open(run.page, at="#t=0")
    chromium.press(".")
    first = moment(chromium)
    chromium.press(".", ",")
    assert first == moment(chromium) > 0
    chromium.press("f")
    assert chromium.text("#here li[aria-current].bad")
    chromium.press(Keys.END)
    assert moment(chromium) == run.trace.ended_ns / 1e6
    chromium.press("w")
    assert chromium.text("#window-text") == f"0.000 ms to {run.trace.ended_ns / 1e6:.3f} ms"
    chromium.press("0", "?")
    assert chromium.js("return document.getElementById('help').open")
    chromium.press(Keys.ESCAPE)
    assert not chromium.js("return document.getElementById('help').open")
    chromium.js("document.getElementById('timeline').focus()")
    fitted = chromium.text("#window-text")
    chromium.press("+", Keys.ARROW_RIGHT)
    moved = chromium.text("#window-text")
    chromium.press(Keys.ARROW_LEFT)
    assert len({fitted, moved, chromium.text("#window-text")}) == 3


def test_wheel_drag_and_click_in_the_timeline(chromium: Browser, ran: Callable[[str], Run]) -> None:
    chromium.open(ran("demo").page)
    act = """
        const canvas = document.getElementById('timeline-canvas'), box = canvas.getBoundingClientRect();
        const more = {bubbles: true, cancelable: true, pointerId: 7};
        const at = (x, y) => ({clientX: box.left + x, clientY: box.top + y, ...more});
        canvas.setPointerCapture = () => {};
        const pointer = (type, x, y) => canvas.dispatchEvent(new PointerEvent(type, at(x, y)));
    """
    texts = [chromium.text("#window-text")]
    for gesture in (
        "canvas.dispatchEvent(new WheelEvent('wheel', {...at(600, 60), deltaY: -400}))",
        "pointer('pointerdown', 600, 60); pointer('pointermove', 480, 60); pointer('pointerup', 480, 60)",
        "canvas.dispatchEvent(new WheelEvent('wheel', {...at(600, 60), deltaX: 90}))",
        "canvas.dispatchEvent(new MouseEvent('dblclick', at(600, 60)))",
    ):
        chromium.js(act + gesture)
        chromium.settle()
        texts.append(chromium.text("#window-text"))
    assert len(set(texts)) == len(texts)
    before = moment(chromium)
    chromium.js(act + "pointer('pointerdown', 300, 60); pointer('pointerup', 300, 60)")
    chromium.settle()
    assert moment(chromium) != before


def test_two_fingers_zoom(chromium: Browser, ran: Callable[[str], Run]) -> None:
    chromium.open(ran("demo").page)
    before = chromium.text("#window-text")
    chromium.js("""
        const canvas = document.getElementById('timeline-canvas'), box = canvas.getBoundingClientRect();
        canvas.setPointerCapture = () => {};
        for (const [type, pointerId, x] of [['pointerdown', 1, 500], ['pointerdown', 2, 600], ['pointermove', 2, 800],
            ['pointerup', 1, 500], ['pointerup', 2, 800]]) {
          const at = {pointerId, clientX: box.left + x, clientY: box.top + 60, bubbles: true};
          canvas.dispatchEvent(new PointerEvent(type, at));
        }
    """)
    chromium.settle()
    assert chromium.text("#window-text") != before


def test_what_lies_under_the_pointer_is_named(chromium: Browser, ran: Callable[[str], Run]) -> None:
    chromium.open(ran("demo").page)
    chromium.js("""
        const canvas = document.getElementById('timeline-canvas'), box = canvas.getBoundingClientRect();
        for (let y = 30; y < box.height && !window.named; y += 4)
          for (let x = 120; x < box.width && !window.named; x += 5) {
            const at = {clientX: box.left + x, clientY: box.top + y, bubbles: true};
            canvas.dispatchEvent(new PointerEvent('pointermove', at));
            const tip = document.getElementById('tip');
            if (!tip.hidden && tip.textContent.includes('notifies')) window.named = tip.textContent;
          }
    """)
    assert re.fullmatch(
        r"\d+\.\d{6} ms(main|remote)notifies (main|remote): hsem channel \d.*", chromium.js("return window.named")
    )


@pytest.mark.parametrize("dark", [False, True])
def test_the_theme_is_the_systems_until_one_is_chosen(
    chromium: Browser, ran: Callable[[str], Run], *, dark: bool
) -> None:
    colour = "return getComputedStyle(document.body).backgroundColor"
    chromium.open(ran("demo").page, dark=dark)
    assert chromium.js(colour) == (DARK if dark else LIGHT)
    chromium.press("t")
    assert chromium.js(colour) == (LIGHT if dark else DARK)
    chromium.open(ran("demo").page, dark=dark, keeps=True)
    assert chromium.js(colour) == (LIGHT if dark else DARK)
    chromium.press("t")
    assert chromium.js(colour) == (DARK if dark else LIGHT)
    chromium.press("t")
    assert chromium.text("#theme-text") == "auto"
    assert chromium.js(colour) == (DARK if dark else LIGHT)


def test_paper_is_white(chromium: Browser, ran: Callable[[str], Run]) -> None:
    chromium.open(ran("demo").page, dark=True)
    colour = "return getComputedStyle(document.body).color"
    shown = chromium.js(colour)
    chromium.js("addEventListener('afterprint', () => { window.printed = true; })")
    chromium.js("addEventListener('beforeprint', () => { window.ink = getComputedStyle(document.body).color; })")
    assert len(chromium.driver.execute_cdp_cmd("Page.printToPDF", {})["data"]) > 1000
    chromium.until("window.printed")
    assert chromium.js("return window.ink") == "rgb(29, 33, 39)" != shown
    assert chromium.js(colour) == shown


def test_what_a_run_says_is_text_and_never_markup(chromium: Browser, ran: Callable[[str], Run], tmp_path: Path) -> None:
    run = ran("crash-remote")
    trace = replace(
        run.trace,
        lines=(*run.trace.lines, ConsoleLine(60_000, "main", HOSTILE)),
        faults=(FaultMark(5_000, "cpu_cm4", HOSTILE, HOSTILE, 0),),
    )
    finding = replace(run.record.verdict.findings[0], advice=HOSTILE, subject=HOSTILE)
    verdict = replace(run.record.verdict, findings=(finding,))
    record = replace(run.record, verdict=verdict, files={"main": HOSTILE, "remote": HOSTILE})
    page = tmp_path / "hostile.html"
    page.write_text(to_html(record, trace), encoding="utf-8")
    chromium.open(page, at="#t=5000")
    assert chromium.complaints() == []
    assert chromium.js("return window.hacked") is None
    assert chromium.every("img") == []
    assert len(chromium.every("script")) == 2
    assert chromium.js("return document.querySelector('.files dd').textContent") == HOSTILE
    assert chromium.js("return [...document.querySelectorAll('.line-text')].at(-1).textContent") == HOSTILE
    assert chromium.js("return document.querySelector('.cause .subject').textContent") == HOSTILE
    assert HOSTILE in chromium.text("#here")


def test_the_page_may_load_nothing_and_runs_no_script_but_its_own(chromium: Browser, ran: Callable[[str], Run]) -> None:
    chromium.open(ran("demo").page)
    chromium.js("""
        const script = document.createElement('script');
        script.textContent = 'window.hacked = 1';
        const image = document.createElement('img');
        image.src = 'https://example.invalid/x.png';
        document.body.append(script, image);
    """)
    chromium.settle()
    assert chromium.js("return window.hacked") is None
    assert len(chromium.complaints()) == 2


def test_every_control_has_a_name(chromium: Browser, ran: Callable[[str], Run]) -> None:
    chromium.open(ran("wrong-channel").page)
    nameless = chromium.js("""
        return [...document.querySelectorAll('button, input, a[href], canvas, [role=group], dialog, section')]
          .filter(e => e.id !== 'rings' && !(e.getAttribute('aria-label') || e.textContent.trim() ||
            document.getElementById(e.getAttribute('aria-labelledby'))))
          .map(e => e.outerHTML.slice(0, 80));
    """)
    assert nameless == []


def test_a_run_of_a_hundred_thousand_events_is_drawn(
    chromium: Browser, ran: Callable[[str], Run], tmp_path: Path
) -> None:
    run = ran("demo")
    trace = many_times(run.trace, 100_000)
    page = tmp_path / "long.html"
    page.write_text(to_html(run.record, trace), encoding="utf-8")
    chromium.open(page)
    chromium.settle()
    assert int(chromium.find("#slider").get_attribute("max") or 0) > 50_000
    chromium.press("w")
    drawn = """
        const canvas = document.getElementById('timeline-canvas');
        const pixels = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height).data;
        return new Set(Array.from({length: pixels.length / 4}, (_, i) => pixels.slice(4 * i, 4 * i + 4).join())).size;
    """
    assert chromium.js(drawn) > 20  # colours
    chromium.press(*"+++++")
    chromium.press("]")
    middle = trace.ended_ns // 2
    chromium.js(f"location.hash = '#t={middle}'")
    chromium.settle()
    assert moment(chromium) == middle / 1e6
    assert chromium.complaints() == []


def many_times(trace: Trace, events: int) -> Trace:
    """A trace that says the same again and again, until there are so many events."""
    (pair,) = trace.pairs
    once = sum(map(len, (trace.states, trace.exceptions, trace.notifications, pair.ring_changes, pair.messages)))
    rounds = range(events // once + 1)
    long = trace.ended_ns

    def later(rows: tuple, *names: str) -> tuple:
        return tuple(
            row._replace(**{name: getattr(row, name) + n * long for name in names if getattr(row, name) is not None})
            for n in rounds
            for row in rows
        )

    return replace(
        trace,
        ended_ns=len(rounds) * long,
        states=later(trace.states, "began_ns", "ended_ns"),
        exceptions=later(trace.exceptions, "began_ns", "ended_ns"),
        notifications=later(trace.notifications, "sent_ns", "taken_ns"),
        pairs=(
            replace(
                pair,
                ring_changes=later(pair.ring_changes, "time_ns"),
                messages=later(pair.messages, "sent_ns", "seen_ns"),
            ),
        ),
    )
