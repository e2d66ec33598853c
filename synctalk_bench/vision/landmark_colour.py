"""Labels of face, hair, neck, clothes and background from landmarks and colours alone: the parser "landmark-colour".

No download is needed. The landmarks say where the face is for certain, and what is certainly beside the head. From such
certain pixels of a sample of frames a ``ClipModel`` learns the colours of the person, of the background (a mixture, and
where it was seen uncovered the very colour of that pixel: the camera is taken to stand still), of skin and of the
rest of the person. Each frame is then cut by two random walkers that follow its edges: person or background, and
within the person skin or not. Geometry turns that into CelebAMask ids (spec B.3): skin above the jaw is face or ear,
below it is neck; the rest of the person is hair above the ear lobes and clothes below.

Known limits: hair longer than the jaw is called clothes where it leaves the head's sides, glasses are skin, a hand in
the picture is clothes or neck.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from PIL import Image, ImageDraw
from scipy import ndimage

from synctalk_bench.errors import SubjectError
from synctalk_bench.vision import celebamask as ids
from synctalk_bench.vision import landmarks as marks
from synctalk_bench.vision.mixture import fit, look_up, table
from synctalk_bench.vision.walker import edge_weights, walk

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

PARSER: Final = "landmark-colour v2"
WORK: Final = 256  # pixels on a side at which a frame is cut; halved while the colours are learned
_CERTAIN: Final = 10.0
_LOOSE: Final = 0.05
_LIGHT: Final = 30.0  # variance of skin and cloth colours under another light than the sample's, on shrunk axes


@dataclass(frozen=True, slots=True)
class Frame:
    """The head's place in a square frame, in units of the frame's side; y grows downwards."""

    points: NDArray[np.float32]  # [478, 2]

    @classmethod
    def of(cls, points: NDArray[np.float32], size: int) -> Frame:
        """Return the place for ``points`` [478, 2 or 3] in pixels of a frame with side ``size``."""
        return cls(points[:, :2] / np.float32(size))

    @property
    def chin(self) -> NDArray[np.float32]:
        """[2]."""
        return np.asarray(self.points[152])

    @property
    def tall(self) -> float:
        """From the upper end of the oval to the chin."""
        return float(np.linalg.norm(self.points[10] - self.points[152]))

    @property
    def wide(self) -> float:
        """Between the temples, a turned head's lost width given back by its height."""
        return max(float(np.linalg.norm(self.points[234] - self.points[454])), 0.6 * self.tall)

    @property
    def lobes(self) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
        """The angles of the jaw, below the ears: right and left, [2] each."""
        return np.asarray(self.points[58]), np.asarray(self.points[288])

    def filled(self, outline: Sequence[int], size: int) -> NDArray[np.bool_]:
        """Return the inside of a closed line through the points ``outline``: [size, size]."""
        canvas = Image.new("L", (size, size))
        corners = [(float(x) * size - 0.5, float(y) * size - 0.5) for x, y in self.points[list(outline)]]
        ImageDraw.Draw(canvas).polygon(corners, fill=1)
        return np.asarray(canvas).astype(bool)


def _grid(size: int) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    centres = ((np.arange(size) + 0.5) / size).astype(np.float32)
    return centres[:, None], centres[None, :]


def certain(face: Frame, size: int) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Return the pixels [size, size] that geometry alone gives to the person, and those it gives to the background."""
    y, x = _grid(size)
    cx, chin = float(face.chin[0]), float(face.chin[1])
    person = face.filled(marks.OVAL, size)
    # Under the chin a column as wide as a neck, opening towards the shoulders.
    person |= (np.abs(x - cx) < 0.22 * face.wide + 0.8 * np.maximum(y - chin - 0.2 * face.tall, 0)) & (y > chin)

    middle = (face.points[234] + face.points[454]) / 2
    up = (face.points[10] - face.points[152]) / face.tall
    side = np.array([-up[1], up[0]])
    along = (x - middle[0]) * up[0] + (y - middle[1]) * up[1]
    across = (x - middle[0]) * side[0] + (y - middle[1]) * side[1]
    reach = np.where(along > 0, 1.25 * face.tall, 1.4 * face.tall)
    outside = (across / (1.0 * face.wide)) ** 2 + (along / reach) ** 2 > 1
    return person, outside & (y < chin - 0.02) & ~person


def _luma_chroma(rgb: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return [n, 3]: brightness, shrunk because the neck lies in the shade, and two chroma axes."""
    luma = rgb @ np.array([0.299, 0.587, 0.114])
    return np.stack([0.35 * luma, 1.2 * (rgb[:, 0] - luma), 1.2 * (rgb[:, 2] - luma)], -1)


def _same(rgb: NDArray[np.float64]) -> NDArray[np.float64]:
    return rgb


def shrink(frame: NDArray[np.uint8], size: int) -> NDArray[np.uint8]:
    """Return ``frame`` [H, W, 3] at ``size`` x ``size`` by area."""
    return np.asarray(Image.fromarray(frame).resize((size, size), Image.Resampling.BOX))


@dataclass(frozen=True, slots=True)
class ClipModel:
    """The colours of one clip: tables of log density over RGB, and the background where it was seen."""

    person: NDArray[np.float32]  # [64, 64, 64]
    background: NDArray[np.float32]
    skin: NDArray[np.float32]
    other: NDArray[np.float32]
    plate: NDArray[np.float32]  # [WORK, WORK, 3]
    spread: NDArray[np.float32]  # [WORK, WORK] standard deviation; infinite where the background was never seen
    prior: NDArray[np.float32]  # [WORK, WORK] share of the frames in which the person is here


def learn(frames: Sequence[NDArray[np.uint8]], faces: Sequence[Frame], *, rounds: int = 3) -> ClipModel:
    """Learn the colours of a clip from a sample of its frames (each [H, W, 3], square) and the heads in them."""
    size = WORK // 2
    small = np.stack([shrink(frame, size) for frame in frames])
    seeds = [certain(face, size) for face in faces]
    surely = np.stack([person for person, _ in seeds])
    never = np.stack([background for _, background in seeds])
    ovals = np.stack([ndimage.binary_erosion(face.filled(marks.OVAL, size), iterations=2) for face in faces])
    weights = [edge_weights(picture) for picture in small]
    y, x = _grid(size)
    low = np.stack(
        [(y > face.chin[1] + 0.35 * face.tall) & (np.abs(x - face.chin[0]) > 0.45 * face.wide) for face in faces]
    )
    low |= np.stack([np.broadcast_to(y > face.chin[1] + 0.9 * face.tall, (size, size)) for face in faces])
    throats = np.stack(
        [
            (np.abs(x - face.chin[0]) < 0.3 * face.wide)
            & (y > face.chin[1] - 0.1)
            & (y < face.chin[1] + 0.3 * face.tall)
            for face in faces
        ]
    )
    # Before anything is known of the shoulders, the bottom of the picture is as likely person as not.
    soft = np.where(surely, 1.0, np.where(never, 0.0, 0.5)).astype(np.float32)
    model: ClipModel | None = None
    for turn in range(rounds):
        person = surely if turn == 0 else (soft > 0.6) & ~never
        background = never if turn == 0 else ((soft < 0.4) & ~surely) | never
        if not background.any():
            raise SubjectError(
                "the picture shows too little background beside the head to tell them apart",
                hint="give a wider crop of the video: about half a head's width on either side",
            )
        plate, spread = _plate(small, background)
        skin = fit(_luma_chroma(small[ovals].astype(np.float64)), 5, seed=1, floor=_LIGHT)
        skin_table = table(skin, _luma_chroma)
        # Clothes and hair: away from face and neck, or not of the skin's colour.
        likeness = look_up(skin_table, small)
        rest = person & ~ovals & ~throats & ((likeness < np.quantile(likeness[ovals], 0.03)) | low)
        model = ClipModel(
            person=table(fit(small[person].astype(np.float64), 10, seed=2), _same),
            background=table(fit(small[background].astype(np.float64), 10, seed=3), _same),
            skin=skin_table,
            other=table(fit(_luma_chroma(small[rest].astype(np.float64)), 7, seed=4, floor=_LIGHT), _luma_chroma),
            plate=plate,
            spread=spread,
            prior=np.full((size, size), 0.5, np.float32) if turn == 0 else soft.mean(0),
        )
        soft = np.stack(
            [
                _person(model, picture, near, sure, no)
                for picture, near, sure, no in zip(small, weights, surely, never, strict=True)
            ]
        )
    assert model is not None
    prior = ndimage.zoom(ndimage.gaussian_filter(soft.mean(0), 1.5), 2, order=1, mode="nearest", grid_mode=True)
    full = np.stack([shrink(frame, WORK) for frame in frames])
    background = np.stack([ndimage.zoom(s, 2, order=1, mode="nearest", grid_mode=True) for s in soft]) < 0.1
    plate, spread = _plate(full, background)
    return ClipModel(model.person, model.background, model.skin, model.other, plate, spread, prior.astype(np.float32))


def _plate(
    pictures: NDArray[np.uint8], background: NDArray[np.bool_]
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return each pixel's background colour and its spread from the frames that show it; inf where none does."""
    colours = np.where(background[..., None], pictures, np.nan).astype(np.float32)
    seen = background.sum(0) >= max(2, len(pictures) // 12)
    plate = np.zeros(pictures.shape[1:], np.float32)
    spread = np.full(pictures.shape[1:3], np.inf, np.float32)
    shown = colours[:, seen]  # [T, n, 3]
    if shown.shape[1]:
        middle = np.nanmedian(shown, axis=0)
        plate[seen] = middle
        # The median deviation is blind to a few frames that were wrongly called background.
        spread[seen] = 1.48 * np.nanmedian(np.abs(shown - middle), axis=0).mean(-1) + 4.0
    return plate, spread


def _person(
    model: ClipModel,
    picture: NDArray[np.uint8],
    weights: tuple[NDArray[np.float32], NDArray[np.float32]],
    surely: NDArray[np.bool_],
    never: NDArray[np.bool_],
    start: NDArray[np.float32] | None = None,
) -> NDArray[np.float32]:
    """Return how far each pixel of ``picture`` [S, S, 3] belongs to the person: [S, S]."""
    size = len(picture)
    plate, spread, prior = (_fitted(a, size) for a in (model.plate, model.spread, model.prior))
    behind = look_up(model.background, picture)
    finite = np.where(np.isfinite(spread), spread, 1.0).astype(np.float32)
    off = ((picture - plate) ** 2).sum(-1) / (2 * finite**2)
    own = -off - 3 * np.log(finite) - np.float32(1.5 * np.log(2 * np.pi))
    behind = np.where(
        np.isfinite(spread), np.logaddexp(own + np.float32(np.log(0.85)), behind + np.float32(np.log(0.15))), behind
    )
    odds = look_up(model.person, picture) - behind
    odds = np.clip(odds, -6, 6) + 1.5 * np.log((prior + 0.03) / (1.03 - prior))
    odds = ndimage.gaussian_filter(odds, 0.7)
    belief = 1 / (1 + np.exp(-odds))
    trust = np.full((size, size), _LOOSE, np.float32) * (0.25 + np.abs(2 * belief - 1))
    belief = np.where(surely, 1.0, np.where(never, 0.0, belief)).astype(np.float32)
    trust = np.where(surely | never, _CERTAIN, trust).astype(np.float32)
    return walk(weights, belief, trust, start=start)


def _fitted(picture: NDArray[np.float32], size: int) -> NDArray[np.float32]:
    """Return ``picture`` at ``size``: itself, or every second pixel of it."""
    return picture if len(picture) == size else picture[:: len(picture) // size, :: len(picture) // size]


def _skin(
    model: ClipModel,
    picture: NDArray[np.uint8],
    weights: tuple[NDArray[np.float32], NDArray[np.float32]],
    face: Frame,
    person: NDArray[np.float32],
) -> NDArray[np.float32]:
    """Return how far each pixel of the person is skin: [S, S]."""
    size = len(picture)
    y, x = _grid(size)
    odds = np.clip(look_up(model.skin, picture) - look_up(model.other, picture), -6, 6)
    odds = ndimage.gaussian_filter(odds, 0.7)
    likely = 1 / (1 + np.exp(-odds))
    oval = face.filled(marks.OVAL, size)
    cx, chin = float(face.chin[0]), float(face.chin[1])
    nowhere = (person < 0.3) | (y > chin + 0.95 * face.tall)
    nowhere |= (y > chin) & (np.abs(x - cx) > 0.65 * face.wide)
    belief = np.where(oval, 1.0, np.where(nowhere, 0.0, likely)).astype(np.float32)
    trust = np.where(oval | nowhere, _CERTAIN, _LOOSE * (0.25 + np.abs(2 * likely - 1))).astype(np.float32)
    return walk(weights, belief, trust)


def _grow(soft: NDArray[np.float32], size: int) -> NDArray[np.float32]:
    return np.asarray(Image.fromarray(soft).resize((size, size), Image.Resampling.BICUBIC))


def _joined(mask: NDArray[np.bool_], to: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the parts of ``mask`` that touch ``to``, without holes."""
    parts, count = ndimage.label(mask | to)
    kept = np.zeros(count + 1, bool)
    kept[np.unique(parts[to])] = True
    kept[0] = False
    return np.asarray(kept[parts])


def _core(mask: NDArray[np.bool_], radius: int, to: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Return the parts of ``mask`` wider than two radii that touch ``to``, with their own rims; all when none is."""
    wide = ndimage.binary_opening(mask, iterations=radius)
    wide = _joined(wide, to & wide) if (to & wide).any() else wide
    if not wide.any():
        return mask
    return np.asarray(ndimage.binary_dilation(wide, iterations=radius) & mask)


def _shoulders(
    region: NDArray[np.bool_], skin: NDArray[np.bool_], oval: NDArray[np.bool_]
) -> tuple[NDArray[np.bool_], NDArray[np.bool_], NDArray[np.bool_]]:
    """Return the neck, the clothes and the thin leftovers of ``region``, the person below the jaw, [S, S] each."""
    radius = max(1, round(len(region) / 170))
    bare = _joined(skin & region, oval) & region
    bare = np.asarray(ndimage.binary_fill_holes(ndimage.binary_opening(bare) | oval)) & region
    bottom = np.zeros_like(region)
    bottom[-2:] = True
    clothes = _core(region & ~bare, radius, bottom)
    near = ndimage.binary_dilation(oval, iterations=2 * radius)
    neck = _core(region & ~clothes, radius, near)
    # The widest piece is the neck; others are ear lobes or hair.
    parts, count = ndimage.label(neck)
    if count > 1:
        neck = parts == 1 + int(np.argmax(np.bincount(parts.ravel())[1:]))
    return neck, clothes, region & ~clothes & ~neck


def label(model: ClipModel, frame: NDArray[np.uint8], points: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return the CelebAMask ids of ``frame`` [S, S, 3], whose face has ``points`` [478, 2 or 3] in pixels: [S, S]."""
    size = len(frame)
    face = Frame.of(points, size)
    picture = shrink(frame, WORK)
    weights = edge_weights(picture)
    coarse = WORK // 2
    half = _person(model, shrink(frame, coarse), edge_weights(shrink(frame, coarse)), *certain(face, coarse))
    person_soft = _person(model, picture, weights, *certain(face, WORK), start=_grow(half, WORK))
    skin_soft = _skin(model, picture, weights, face, person_soft)

    oval = face.filled(marks.OVAL, size)
    person = _grow(person_soft, size) > 0.5
    person = ndimage.binary_opening(person, iterations=2) | oval
    person = np.asarray(ndimage.binary_fill_holes(_joined(person, oval)))
    skin = (_grow(skin_soft, size) > 0.5) & person

    y, x = _grid(size)
    right, left = face.lobes
    # Below the line through the two angles of the jaw, and not inside the oval, is not head.
    slope = (left[1] - right[1]) / max(float(left[0] - right[0]), 0.05)
    below = (y > right[1] + slope * (x - right[0])) & ~oval
    # A cheek may bulge a little over the line of the landmarks.
    bulge = ndimage.binary_dilation(oval, iterations=max(1, round(0.01 * size)))
    below &= ~(bulge & skin & (y < face.chin[1] - 0.1 * face.tall))
    head = person & ~below

    labels = np.zeros((size, size), np.uint8)
    labels[head] = ids.HAIR
    neck, clothes, slivers = _shoulders(person & below, skin, oval)
    labels[clothes] = ids.CLOTH
    labels[neck] = ids.NECK
    # What is neither, thin strips along the jaw, is cheek above the chin and neck under it.
    labels[slivers] = np.where(np.broadcast_to(y < face.chin[1], slivers.shape), ids.SKIN, ids.NECK)[slivers]

    bare = skin & head & ~oval
    brow = float(np.mean(face.points[list(marks.BROW_RIGHT + marks.BROW_LEFT), 1]))
    middle = float((face.points[234] + face.points[454])[0] / 2)
    labels[bare & (y < brow)] = ids.SKIN
    labels[bare & (y >= brow) & (x < middle)] = ids.EAR_L
    labels[bare & (y >= brow) & (x >= middle)] = ids.EAR_R
    labels[oval] = ids.SKIN
    for outline, value in (
        (marks.NOSE, ids.NOSE),
        (marks.BROW_RIGHT, ids.BROW_L),
        (marks.BROW_LEFT, ids.BROW_R),
        (marks.EYE_RIGHT, ids.EYE_L),
        (marks.EYE_LEFT, ids.EYE_R),
        (marks.LIPS_INNER, ids.MOUTH),
        (marks.LIP_UPPER, ids.LIP_UPPER),
        (marks.LIP_LOWER, ids.LIP_LOWER),
    ):
        labels[face.filled(outline, size)] = value
    return labels
