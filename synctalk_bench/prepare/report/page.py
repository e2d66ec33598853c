"""report.html: what was seen of a subject, its pictures, curves and what made them, in one file."""

from __future__ import annotations

from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from synctalk_bench.pages import motion
from synctalk_bench.pages.page import document, fact_table
from synctalk_bench.pages.svg import Curve, chart, strips
from synctalk_bench.prepare.options import STEPS
from synctalk_bench.prepare.probes.finding import Finding, Span, listed, spans_of
from synctalk_bench.prepare.report.data import Seen, read
from synctalk_bench.prepare.report.pictures import picture, row
from synctalk_bench.store.atomic import write_text
from synctalk_bench.subjects.video import FPS

if TYPE_CHECKING:
    from collections.abc import Mapping

REPORT: Final = "report.html"
_ROWS: Final = 6  # sample frames
_STYLE: Final = Path(__file__).with_name("style.css")


def write_report(root: Path, name: str, target: Path | None = None) -> Path:
    """Write the page of the subject in ``root`` to ``target`` (default: report.html in it) and return where it is.

    Raises:
        SubjectError: the folder is not a usable subject.
        StoreError: the page cannot be written.
    """
    place, text = target or root / REPORT, page(read(root, name))
    write_text(place, text)
    return place


def page(seen: Seen) -> str:
    """Return the whole page as HTML that needs no other file."""
    parts = [_head(seen), _findings(seen), _rejected(seen), _pictures(seen), _motion(seen), _sound(seen), _steps(seen)]
    return document(f"{seen.subject.name}: prepared subject", "".join(parts), styles=[_STYLE])


def _head(seen: Seen) -> str:
    subject, source = seen.subject, seen.record.get("source", {})
    facts = source.get("facts", {})
    rows: dict[str, object] = {
        "frames": f"{subject.frames} at {subject.fps:g} a second ({subject.frames / FPS:.1f} s), "
        f"{len(subject.train)} to train, {len(subject.test)} held out",
        "picture": f"{subject.width} x {subject.height}, focal length {subject.camera.focal:.0f} px",
    }
    if facts:
        rows["source"] = f"{source['file']} (SHA-256 {source['sha256'][:16]}…)"
        rows["source holds"] = (
            f"{facts['duration']:.1f} s, {facts['fps']:g} fps, {facts['width']} x {facts['height']}, {facts['codec']}"
            + (f", turned by {facts['rotation']}°" if facts["rotation"] else "")
        )
    else:
        rows["source"] = "unknown: the folder was made elsewhere"
    if probe := seen.found("probe"):
        rows["used"] = (
            f"video frames {probe['first']}-{probe['first'] + probe['frames'] - 1}, frame 0 is shown at "
            f"{probe['start']:.2f} s; sampling: {probe['method']}"
        )
        rows["face"] = f"{probe['face_px']:.0f} source pixels from brows to chin (median)"
    if audio := seen.found("audio"):
        moved = f"moved {audio['offset']:+d} frames towards the beginning" if audio.get("offset") else "not moved"
        rows["sound"] = f"{moved} ({audio.get('why', 'as in the source')})"
    return f"<h1>{escape(subject.name)}</h1>{fact_table(rows)}"


def _findings(seen: Seen) -> str:
    if not seen.steps:
        return "<h2>What was seen</h2><p>Nothing is recorded: the folder was not prepared here.</p>"
    items = "".join(
        f'<li class="{"serious" if f.serious else "fine"}">{escape(f.line)}</li>'
        for f in sorted(seen.findings, key=lambda f: not f.serious)
    )
    text = f"<ul>{items}</ul>" if items else "<p>Nothing remarkable.</p>"
    return f"<h2>What was seen</h2>{text}{_timeline(seen)}"


def _timeline(seen: Seen) -> str:
    probe = seen.found("probe")
    if not probe:
        return ""
    first, count = int(probe["first"]), int(probe["frames"])
    takes: list[Span] = [(int(a), int(b)) for a, b in probe["takes"]]
    rows: list[tuple[str, list[Span]]] = [("used", [(first, first + count - 1)])]
    if len(takes) > 1:
        rows.append(("takes, every other", takes[::2]))
    for what in dict.fromkeys(f.what for f in seen.findings if f.spans and f.what != "cut"):
        spans = [
            (a + (first if f.counted == "subject" else 0), b + (first if f.counted == "subject" else 0))
            for f in seen.findings
            if f.what == what
            for a, b in f.spans
        ]
        rows.append((what, spans))
    return "<h3>Over the video's frames</h3>" + strips(rows, first=takes[0][0], last=takes[-1][1])


def _rejected(seen: Seen) -> str:
    rows: list[tuple[str, tuple[Span, ...], str]] = []
    if made_up := seen.found("landmarks").get("interpolated"):
        where = np.isin(np.arange(seen.subject.frames), made_up)
        rows.append(("no face found", spans_of(where), "landmarks and expression are made up from the frames beside"))
    if "covered" in seen.sync and seen.sync["covered"].any():
        rows.append(("mouth covered", spans_of(seen.sync["covered"]), "kept; lips are learned from it"))
    if (probe := seen.found("probe")) and len(probe["takes"]) > 1:
        unused = [Finding(what="take", text="", spans=((a, b),)) for a, b in probe["takes"] if not _used(probe, a)]
        if unused:
            rows.append(("other takes", tuple(f.spans[0] for f in unused), "not in the subject (video frames)"))
    if probe.get("method") == "repeats-dropped":
        rows.append(("repeats", (), "one source frame in six repeats the one before and is dropped"))
    if not rows:
        return "<h2>Frames rejected or made up</h2><p>None.</p>"
    cells = "".join(
        f"<tr><th>{escape(why)}</th><td>{escape(listed(spans, most=40)) if spans else ''}</td>"
        f"<td>{escape(what)}</td></tr>"
        for why, spans, what in rows
    )
    return f"<h2>Frames rejected or made up</h2><table class=facts>{cells}</table>"


def _used(probe: Mapping[str, Any], frame: int) -> bool:
    return bool(probe["first"] <= frame < probe["first"] + probe["frames"])


def _pictures(seen: Seen) -> str:
    from PIL import Image

    at = np.unique(np.linspace(0, seen.subject.frames - 1, _ROWS).astype(int))
    if len(suspect := np.flatnonzero(seen.sync["covered"])[:1] if "covered" in seen.sync else at[:0]):
        at = np.unique(np.append(at, suspect))
    rows = "".join(row(seen.layout, int(k)) for k in at)
    with Image.open(seen.layout.background) as plate:
        background = picture(plate, "background plate")
    share = seen.found("background").get("seen")
    known = (
        "" if share is None else f" {share:.0%} of its pixels were really seen; the rest take their neighbours' colour."
    )
    return (
        "<h2>Pictures</h2><div class=wide><table class=pictures><tr><th>frame</th><th>landmarks</th><th>masks</th>"
        f"<th>torso</th><th>over the plate</th></tr>{rows}</table></div>"
        f"<h3>Background</h3><p>{background}</p><p>The plate without the person.{known}</p>"
    )


def _motion(seen: Seen) -> str:
    turn, place = motion.head(seen.poses)
    angle, step = motion.pose_jitter(seen.poses)
    shake = motion.landmark_jitter(seen.marks)
    axes, jitter = ("pitch", "yaw", "roll"), "second difference"
    figures = {
        "pose jitter, root mean square": f"{_rms(angle):.3f} degrees / frame², {_rms(step):.3f} mm / frame²",
        "landmark jitter (nose, eyes)": f"{_rms(shake):.3f} pixels / frame²",
    }
    if error := seen.record.get("reprojection_px"):
        figures["landmarks reproject within"] = ", ".join(f"{name} {value:.2f} px" for name, value in error.items())
    return (
        "<h2>Pose</h2>"
        + fact_table(figures)
        + chart([Curve(name, turn[:, k]) for k, name in enumerate(axes)], unit="degrees about the mean")
        + chart([Curve(name, place[:, k]) for k, name in enumerate("xyz")], unit="mm about the mean, camera's axes")
        + chart([Curve(f"{jitter} of the turn", angle)], unit="degrees / frame²")
        + chart([Curve(f"{jitter} of the place", step)], unit="mm / frame²")
        + chart([Curve(f"{jitter} of the landmarks", shake)], unit="pixels / frame²")
    )


def _rms(values: np.ndarray[Any, np.dtype[np.float64]]) -> float:
    return float(np.sqrt(np.nanmean(values**2)))


def _sound(seen: Seen) -> str:
    count, marks = seen.subject.frames, seen.marks
    inner = np.linalg.norm(marks[:, 62] - marks[:, 66], axis=-1) / np.linalg.norm(marks[:, 36] - marks[:, 45], axis=-1)
    heard = np.zeros(count * 640)
    heard[: min(len(heard), len(seen.wave))] = seen.wave[: len(heard)]
    level = np.sqrt((heard.reshape(count, 640) ** 2).mean(1))
    first = min(count, 250)
    both = [
        Curve("mouth opening", inner[:first] / max(float(inner.max()), 1e-9)),
        Curve("sound level", level[:first] / max(float(level.max()), 1e-9)),
    ]
    text = "<h2>Mouth and sound</h2><p>The first ten seconds, each over its largest value, as the subject has them.</p>"
    text += chart(both, unit="share of the largest")
    lag = seen.found("sync").get("lag")
    if lag:
        verdict = "sure" if lag["sure"] else "not sure"
        text += (
            f"<p>How well the source's sound, moved by so many frames, tells the mouth's opening. Best at "
            f"{lag['frames']:+.1f} frames (positive: the sound is late), r = {lag['fit']:.2f}; elsewhere "
            f"{lag['elsewhere']:.2f} at most; {lag['needed']:.2f} between them are needed: <b>{verdict}</b>.</p>"
        )
        reach = len(lag["curve"]) // 2
        text += chart([Curve("correlation", np.array(lag["curve"]))], unit="r", first=-reach, at=lag["frames"])
    return text


def _steps(seen: Seen) -> str:
    if not seen.steps:
        return ""
    rows = []
    for name in sorted(seen.steps, key=lambda step: STEPS.index(step) if step in STEPS else len(STEPS)):
        entry = seen.steps[name]
        found, seconds = entry["found"], float(entry["seconds"])
        made_with = [f"version {entry['version']}"] if "version" in entry else []
        made_with += [str(found[key]) for key in ("detector", "table", "parser", "tracker", "head") if key in found]
        made_with += [f"{asset} {digest[:12]}" for asset, digest in entry.get("assets", {}).items()]
        rate = f"{seen.subject.frames / seconds:.0f}" if seconds > 0.05 else ""
        rows.append(
            f"<tr><th>{escape(name)}</th><td>{seconds:.1f}</td><td>{rate}</td>"
            f"<td>{escape('; '.join(made_with))}</td></tr>"
        )
    whole = sum(float(entry["seconds"]) for entry in seen.steps.values())
    return (
        "<h2>Steps</h2><table class=facts><tr><th>step</th><td>seconds</td><td>frames/s</td><td>made with</td></tr>"
        f"{''.join(rows)}</table><p>{whole:.0f} s in all, {seen.subject.frames / max(whole, 1e-9):.1f} frames/s. "
        "The seconds are those of the machine and the hour; a step that went on after a stop counts from there.</p>"
    )
