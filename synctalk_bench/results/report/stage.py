"""The parts of the page that its scripts fill: pickers, stage, curves, worst frames, and the help on keys."""

from typing import Final

FRAMES: Final = """
<div class="pickers"><label>subject <select id="subject"></select></label>
<label>seed <select id="seed"></select></label>
<div id="chips" class="chips" role="group" aria-label="rows that are shown"></div></div>
<div id="stage"><div id="pictures"></div><p id="no-film" class="none" role="status"></p>
<div class="transport" role="group" aria-label="player">
<button type="button" id="back" aria-label="one frame back">◀</button>
<button type="button" id="play" aria-label="play">▶</button>
<button type="button" id="on" aria-label="one frame on">▶</button>
<input type="range" id="slider" min="0" max="0" value="0" aria-label="frame">
<output id="readout" for="slider"></output>
<label>speed <select id="speed"><option value="1">1</option><option value="0.5">½</option>
<option value="0.25">¼</option></select></label>
<label><input type="checkbox" id="sound"> sound</label>
<label><input type="checkbox" id="heat" checked> difference</label>
<label>× <select id="gain" aria-label="gain of the difference"><option>2</option><option selected>4</option>
<option>8</option><option>16</option></select></label></div></div>
<div id="curves"></div><p id="no-curves" class="none"></p>
"""

WORST: Final = """
<div class="pickers"><label>worst by <select id="worst-measure"></select></label>
<span class="hint">truth and variant; frames at least ten apart; a click shows them above</span></div>
<div id="worst-frames"></div>
"""

HELP: Final = """
<dialog id="help" aria-labelledby="help-head"><h2 id="help-head">Keys</h2><table class="facts">
<tr><th><kbd>space</kbd></th><td>play or pause</td></tr>
<tr><th><kbd>←</kbd> <kbd>→</kbd></th><td>one frame; with <kbd>shift</kbd> ten</td></tr>
<tr><th><kbd>Home</kbd> <kbd>End</kbd></th><td>first or last frame</td></tr>
<tr><th><kbd>d</kbd></th><td>difference from the truth</td></tr>
<tr><th><kbd>m</kbd></th><td>sound</td></tr>
<tr><th><kbd>t</kbd></th><td>light or dark</td></tr>
<tr><th><kbd>?</kbd></th><td>this list; <kbd>Esc</kbd> closes it</td></tr></table>
<p>A click or a drag on any curve moves all pictures and all curves to that frame.</p>
<form method="dialog"><button>close</button></form></dialog>
"""
