"use strict";
// A participant's way through the study: welcome, one view a clip, the file of answers at the end.
// What was answered is kept in localStorage at once, so that a reload goes on where it was.
(() => {
  const study = JSON.parse(document.getElementById("study").textContent);
  const main = document.querySelector("main");
  const LONGEST = 3600; // seconds that one view counts at most: a page left open over lunch is no hour of work
  let kept = null; // the participant's answers so far
  let row = null; // what the participant is shown

  function node(tag, attributes = {}, ...children) {
    const made = document.createElement(tag);
    for (const [name, value] of Object.entries(attributes)) {
      if (typeof value === "function") made.addEventListener(name, value);
      else if (value === true) made.setAttribute(name, "");
      else if (value !== false) made.setAttribute(name, value);
    }
    made.append(...children);
    return made;
  }

  const paragraphs = (text) => text.split(/\n\s*\n/).map((part) => node("p", {}, part.trim()));

  function show(...children) {
    main.replaceChildren(...children);
    window.scrollTo(0, 0);
    main.focus({ preventScroll: true });
  }

  function progress(done) {
    const place = document.getElementById("progress");
    place.hidden = false;
    place.querySelector("progress").value = done / row.clips.length;
    place.querySelector("span").textContent =
      done < row.clips.length ? `clip ${done + 1} of ${row.clips.length}` : "done";
  }

  // What the browser keeps -------------------------------------------------------------------------------------------
  const place = (code) => `synctalk-study:${study.study}:${code}`;

  function load(code) {
    try {
      const found = JSON.parse(localStorage.getItem(place(code)));
      if (found && found.study === study.study && found.participant === code && found.position >= 0) return found;
    } catch {
      // Nothing usable is kept: begin anew.
    }
    return {
      schema: 1, kind: "synctalk-bench study answers", study: study.study, participant: code, position: 0,
      seconds: 0, ratings: {}, checks: {},
    };
  }

  function save() {
    try {
      localStorage.setItem(place(kept.participant), JSON.stringify(kept));
    } catch {
      document.getElementById("warning").hidden = false;
    }
  }

  // Which row a code sees: design.row_of in Python does the same -----------------------------------------------------
  function hash(text) {
    let value = 0x811c9dc5;
    for (const byte of new TextEncoder().encode(text)) value = Math.imul(value ^ byte, 0x01000193) >>> 0;
    return value;
  }

  function find(text) {
    const typed = text.trim();
    for (const code of [typed, typed.toUpperCase()]) {
      const number = study.codes.indexOf(code);
      if (number >= 0) return { code, row: study.rows[number % study.rows.length] };
    }
    if (!study.open || !/^[A-Za-z0-9_-]{1,64}$/.test(typed)) return null;
    return { code: typed, row: study.rows[hash(typed) % study.rows.length] };
  }

  // Views ------------------------------------------------------------------------------------------------------------
  function welcome() {
    const code = node("input", {
      type: "text", id: "code", name: "code", required: true, autocomplete: "off", autocapitalize: "characters",
      spellcheck: "false", value: decodeURIComponent(location.hash.slice(1)),
    });
    const agree = node("input", { type: "checkbox", id: "agree", required: true });
    const hint = node("p", { class: "hint", role: "alert" });
    function begin(event) {
      event.preventDefault();
      const found = find(code.value);
      if (!found) {
        hint.textContent = "This study does not know that code. Please check it letter by letter.";
        code.focus();
        return;
      }
      kept = load(found.code);
      row = found.row;
      save();
      next();
    }
    show(
      ...paragraphs(study.welcome),
      node("div", { class: "consent" }, ...paragraphs(study.consent)),
      node("form", { submit: begin },
        node("p", {}, node("label", { class: "line", for: "agree" }, agree, "I have read this and take part.")),
        node("p", {}, node("label", { for: "code" }, "Your code "), code),
        hint,
        node("div", { class: "row" }, node("button", { id: "begin" }, "Begin"))),
    );
  }

  function line(id, label, text, value, answer) {
    const choices = study.scale.map((word, index) => node("label", {},
      node("input", {
        type: "radio", name: id, value: String(index + 1), checked: value === index + 1,
        change: () => answer(index + 1),
      }),
      node("b", {}, String(index + 1)), node("span", {}, word)));
    return node("fieldset", { "data-line": id }, node("legend", {}, label), node("p", {}, text),
      node("div", { class: "scale" }, ...choices));
  }

  // The seconds of a video that were really played, however often it was wound.
  function played(video) {
    let seconds = 0;
    for (let k = 0; k < video.played.length; k++) seconds += video.played.end(k) - video.played.start(k);
    return seconds;
  }

  function clip() {
    const at = kept.position;
    const name = row.clips[at];
    const rating = (kept.ratings[name] ??= { answers: {}, plays: 0, seconds: 0, shown: true });
    let since = performance.now();
    const clock = () => {
      const now = performance.now();
      rating.seconds = Math.min(LONGEST, rating.seconds + (now - since) / 1000);
      since = now;
    };
    const checks = row.checks.filter((check) => check.at === at);
    const hint = node("span", { class: "hint", role: "status" });
    const video = node("video", {
      src: `clips/${name}.mp4`, controls: true, playsinline: true, preload: "auto", tabindex: "0",
      "aria-label": `Clip ${at + 1}`,
      ended: () => {
        // A clip counts as seen when nearly all of it was played, not when it was wound to its end.
        if (played(video) < 0.9 * video.duration) return;
        rating.plays += 1;
        update();
      },
      loadedmetadata: () => (rest.hidden = false),
      error: () => (problem.hidden = rest.hidden = false),
    });
    const lines = study.questions.map((question) =>
      line(question.id, question.label, question.text, rating.answers[question.id], (value) => {
        rating.answers[question.id] = value;
        update();
      }));
    for (const check of [...checks].sort((a, b) => b.before - a.before)) {
      lines.splice(check.before, 0, line(check.id, "Are you reading?",
        `This line does not judge the clip. Please choose ${check.value} (${study.scale[check.value - 1]}) here.`,
        kept.checks[check.id], (value) => {
          kept.checks[check.id] = value;
          update();
        }));
    }
    const missing = () => lines.filter((each) => !each.querySelector(":checked"));
    function update() {
      clock();
      save();
      for (const each of lines) if (each.querySelector(":checked")) each.classList.remove("open");
      const open = missing().length;
      const waits = [];
      if (!rating.plays) waits.push("watch the clip to its end");
      if (open) waits.push(open === 1 ? "answer one more line" : `answer ${open} more lines`);
      hint.textContent = waits.length ? `Please ${waits.join(" and ")}.` : "";
    }
    function leave() {
      clock();
      kept.position = at + 1;
      save();
      next();
    }
    const forward = node("button", {
      id: "next",
      click: () => {
        update();
        const open = missing();
        for (const each of open) each.classList.add("open");
        if (!rating.plays) video.focus();
        else if (open.length) open[0].scrollIntoView({ block: "center" });
        else leave();
      },
    }, at + 1 < row.clips.length ? "Next clip" : "Finish");
    const problem = node("p", { id: "problem", role: "alert", hidden: true },
      "This clip cannot be played here. Please reload the page; if that does not help: ",
      node("button", {
        class: "second", id: "without",
        click: () => {
          rating.shown = false;
          rating.answers = {};
          leave();
        },
      }, "Go on without this clip"));
    // What can be clicked comes when the picture's size is known: it would move under the pointer.
    const rest = node("div", { hidden: true }, ...lines, node("div", { class: "row" }, forward, hint));
    show(problem, video, rest);
    progress(at);
    update();
  }

  // The file that is handed in: only what was asked, in the order in which it was shown.
  function answers() {
    const ratings = row.clips.filter((name) => name in kept.ratings).map((name) => {
      const rating = kept.ratings[name];
      return { clip: name, answers: rating.answers, plays: rating.plays, seconds: Math.round(rating.seconds * 10) / 10,
        shown: rating.shown };
    });
    const seconds = ratings.reduce((sum, rating) => sum + rating.seconds, 0);
    return JSON.stringify({
      schema: kept.schema, kind: kept.kind, study: kept.study, participant: kept.participant,
      seconds: Math.round(seconds * 10) / 10, ratings, checks: kept.checks,
    }, null, 1) + "\n";
  }

  function finish() {
    const name = `answers-${study.study}-${kept.participant}.json`;
    const hint = node("p", { class: "hint", role: "status", id: "handed" });
    function download() {
      const url = URL.createObjectURL(new Blob([answers()], { type: "application/json" }));
      node("a", { href: url, download: name }).click();
      setTimeout(() => URL.revokeObjectURL(url), 60_000);
      hint.textContent = `${name} was saved. Please hand this file in.`;
    }
    async function send() {
      hint.textContent = "…";
      try {
        const reply = await fetch("answers", {
          method: "POST", headers: { "Content-Type": "application/json" }, body: answers(), redirect: "error",
        });
        if (!reply.ok) throw new Error(await reply.text());
        hint.textContent = "Your answers have been handed in. You can close the page.";
      } catch (error) {
        hint.textContent = `They could not be handed in (${error.message.trim().slice(0, 200)}). Please save them to a file.`;
      }
    }
    const buttons = [node("button", { id: "save", click: download }, "Save my answers to a file")];
    // Only the study's own computer takes answers; any other host is a place for files.
    if (["127.0.0.1", "localhost"].includes(location.hostname)) {
      buttons.push(node("button", { class: "second", id: "send", click: send }, "Hand in to this computer"));
    }
    show(node("h2", {}, "Thank you"),
      node("p", {}, "That was the last clip. Your answers are complete and still only in this browser."),
      node("div", { class: "row" }, ...buttons), hint);
    progress(row.clips.length);
  }

  function next() {
    if (kept.position < row.clips.length) clip();
    else finish();
  }

  welcome();
})();
