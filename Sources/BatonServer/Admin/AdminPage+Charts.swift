extension AdminPage {
    /// Draws what has been lately. All charts have one axis of time, one cursor and the same marks.
    static let charts = #"""
        "use strict";

        const longestTime = 600000, leastTime = 120000;

        function svg(name, attributes, text) {
          const node = document.createElementNS("http://www.w3.org/2000/svg", name);
          for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
          if (text !== undefined) node.textContent = text;
          return node;
        }

        function duration(microseconds) {
          if (microseconds < 1000) return `${Math.round(microseconds)} µs`;
          if (microseconds < 1e6) return `${Number((microseconds / 1000).toPrecision(3))} ms`;
          return `${Number((microseconds / 1e6).toPrecision(3))} s`;
        }

        function quantity(value, most = 9999.5) {
          const units = ["", " k", " M", " G", " T"];
          let power = 0;
          while (Math.abs(value) >= most && power < units.length - 1) { value /= 1000; power += 1; }
          const text = value >= 100 || Number.isInteger(value) ? Math.round(value).toLocaleString("en")
            : Number(value.toPrecision(value < 10 ? 2 : 3)).toString();
          return text + units[power];
        }

        function bytes(value) {
          const text = quantity(value, 999.5);
          return text + (/[kMGT]$/.test(text) ? "B" : " B");
        }

        // The least of 1, 2 and 5 times a power of ten that is no less.
        function rounded(value) {
          const power = 10 ** Math.floor(Math.log10(value));
          return [1, 2, 5, 10].map(n => n * power).find(n => n >= value * .999);
        }

        // What the server has told, with times of this page's own clock.
        class Recent {
          constructor() { this.columns = []; this.samples = []; this.marks = []; this.pauses = []; this.count = 0; }

          add(history, pauses) {
            const now = performance.now();
            const samples = history.samples.map(([age, elapsed, ...values]) => ({ at: now - age, elapsed, values }));
            this.columns = history.columns;
            this.samples = history.whole ? samples : this.samples.concat(samples);
            while (this.samples.length > 0 && this.samples[0].at < now - longestTime - 5000) this.samples.shift();
            this.marks = history.marks.map(mark => ({ ...mark, at: now - mark.age_ms }));
            this.pauses = pauses.map(([age, pause]) => [now - age, pause]);
            this.count = history.count;
          }

          // Milliseconds that are shown: as much as is known, in whole minutes.
          get time() {
            const known = this.samples.length > 0 ? performance.now() - this.samples[0].at : 0;
            return Math.min(longestTime, Math.max(leastTime, Math.ceil(known / 60000) * 60000));
          }

          get name() { return `The last ${this.time / 60000} minutes`; }

          // How many a second, or how many there are.
          values(column) {
            const index = this.columns.indexOf(column);
            if (index < 0) return null;
            return this.samples.map(sample => column === "connections"
              ? sample.values[index] : sample.values[index] / sample.elapsed * 1000);
          }
        }

        class Chart {
          // series: [name of a column, its name here, class]
          constructor(title, series, format, charts) {
            Object.assign(this, { title, series, format, charts, width: 0 });
            const figure = document.createElement("figure");
            figure.className = "chart";
            const caption = document.createElement("figcaption");
            const heading = document.createElement("h3");
            heading.textContent = title;
            caption.append(heading);
            this.keys = series.map(([, name, style]) => {
              const key = document.createElement("p");
              key.className = style;
              const value = document.createElement("b");
              key.append(`${name} `, value);
              caption.append(key);
              return value;
            });
            this.svg = svg("svg", { role: "img", tabindex: "0" });
            figure.append(caption, this.svg);
            this.figure = figure;
            const point = event => charts.point(
              (event.clientX - this.svg.getBoundingClientRect().left - this.left) / (this.right - this.left));
            this.svg.addEventListener("pointermove", point);
            this.svg.addEventListener("pointerdown", point);
            this.svg.addEventListener("pointerleave", event => { if (event.pointerType === "mouse") charts.point(null); });
            this.svg.addEventListener("blur", () => charts.point(null));
            this.svg.addEventListener("keydown", event => {
              const step = { ArrowLeft: -1, ArrowRight: 1 }[event.key];
              if (step) { charts.step(step); event.preventDefault(); }
              if (event.key === "Escape") charts.point(null);
            });
          }

          get left() { return 46; }
          get right() { return this.width - 6; }

          draw(recent, now, cursor) {
            const top = 10, bottom = 108, { left, right } = this;
            if (right - left < 50) return;
            const x = at => right - (now - at) / recent.time * (right - left);
            const parts = this.axis(now, recent.time, x, bottom);
            parts.push(...this.content(recent, now, x, top, bottom, cursor));
            for (const mark of recent.marks) {
              const place = x(mark.at), style = markStyle(mark);
              if (place < left || place > right) continue;
              const line = svg("line", { class: `mark ${style}`, x1: place, x2: place, y1: top - 4, y2: bottom });
              const flag = svg("path", { class: `flag ${style}`, d: `M${place - 4} ${top - 9}h8l-4 7z` });
              flag.append(svg("title", {}, `${markName(mark)}, ${span(mark.age_ms / 1000)} ago`));
              parts.push(line, flag);
            }
            if (cursor !== null) {
              const place = x(cursor);
              parts.push(svg("line", { class: "cursor", x1: place, x2: place, y1: top - 4, y2: bottom }));
            }
            this.svg.setAttribute("viewBox", `0 0 ${this.width} 132`);
            this.svg.replaceChildren(...parts);
          }

          axis(now, time, x, bottom) {
            return [1, .5, 0].map(part => svg("text", {
              class: part === 0 ? "end" : part === 1 ? "" : "middle", x: x(now - part * time), y: bottom + 17,
            }, part === 0 ? "now" : `−${part * time / 60000} min`));
          }

          content(recent, now, x, top, bottom, cursor) {
            const lines = this.series.map(([column, , style]) => [recent.values(column), style]);
            const greatest = Math.max(0, ...lines.flatMap(([values]) => values || []));
            const limit = rounded(Math.max(greatest, this.format === quantity ? 1 : 1000));
            const y = value => bottom - value / limit * (bottom - top);
            const parts = [];
            for (const part of [0, .5, 1]) {
              const line = y(part * limit);
              parts.push(svg("line", { class: "grid", x1: this.left, x2: this.right, y1: line, y2: line }));
              parts.push(svg("text", { class: "end", x: this.left - 6, y: line + 4 }, this.format(part * limit)));
            }
            const chosen = cursor === null ? recent.samples.length - 1 : recent.nearest(cursor);
            lines.forEach(([values, style], index) => {
              const shown = values && values.length > 0;
              setText(this.keys[index], shown ? this.format(values[chosen]) : "–");
              if (!shown) return;
              const path = recent.samples.map((sample, i) =>
                `${i === 0 ? "M" : "L"}${x(Math.max(sample.at, now - recent.time)).toFixed(1)} ${y(values[i]).toFixed(1)}`).join("");
              const end = x(recent.samples[recent.samples.length - 1].at).toFixed(1);
              const start = x(Math.max(recent.samples[0].at, now - recent.time)).toFixed(1);
              if (index === 0) parts.push(svg("path", { class: "area", d: `${path}L${end} ${bottom}L${start} ${bottom}Z` }));
              parts.push(svg("path", { class: `line ${style}`, d: path }));
            });
            const told = this.series.map(([, name], index) => `${name} ${this.keys[index].textContent}`).join(", ");
            this.svg.setAttribute("aria-label", `${this.title}, ${recent.name}. ${told}; at most ${this.format(greatest)}`);
            return parts;
          }
        }

        // Each pause is a point, upwards on a logarithmic scale: most are short, and the long ones matter.
        class PauseChart extends Chart {
          constructor(charts) { super("Pauses of moved connections", [[null, "the last", "points"]], duration, charts); }

          content(recent, now, x, top, bottom) {
            const shown = recent.pauses.filter(([at]) => at >= now - recent.time);
            const values = shown.map(([, pause]) => Math.max(1, pause));
            const low = Math.floor(Math.log10(Math.min(100, ...values)));
            const high = Math.max(low + 2, Math.ceil(Math.log10(Math.max(10000, ...values))));
            const y = value => bottom - (Math.log10(Math.max(1, value)) - low) / (high - low) * (bottom - top);
            const parts = [];
            for (let power = low; power <= high; power++) {
              const line = y(10 ** power);
              parts.push(svg("line", { class: "grid", x1: this.left, x2: this.right, y1: line, y2: line }));
              if (high - low <= 4 || (power - low) % 2 === 0) {
                parts.push(svg("text", { class: "end", x: this.left - 6, y: line + 4 }, duration(10 ** power)));
              }
            }
            for (const [at, pause] of shown) {
              const point = svg("circle", { class: "dot", cx: x(at).toFixed(1), cy: y(pause).toFixed(1), r: 2.5 });
              point.append(svg("title", {}, `${duration(pause)}, ${span((now - at) / 1000)} ago`));
              parts.push(point);
            }
            if (shown.length === 0) {
              parts.push(svg("text", { class: "middle", x: (this.left + this.right) / 2, y: (top + bottom) / 2 + 4 },
                "nothing has moved"));
            }
            setText(this.keys[0], values.length > 0 ? duration(values[values.length - 1]) : "–");
            this.svg.setAttribute("aria-label", values.length > 0
              ? `${this.title}: ${values.length} shown, at most ${duration(Math.max(...values))}` : `${this.title}: none`);
            return parts;
          }
        }

        class Charts {
          constructor(node) {
            this.node = node;
            this.recent = new Recent();
            this.recent.nearest = at => {
              const ends = this.recent.samples.map(sample => sample.at);
              const index = ends.findIndex(end => end >= at);
              return index < 0 ? ends.length - 1 : index;
            };
            // How far along the axis, 0 to 1.
            this.place = null;
            this.shown = [];
            this.observer = new ResizeObserver(entries => {
              for (const entry of entries) {
                const chart = this.shown.find(chart => chart.svg === entry.target);
                if (chart) chart.width = entry.contentRect.width;
              }
              this.draw();
            });
          }

          add(history, pauses) {
            this.recent.add(history, pauses);
            if (this.shown.length === 0) this.make(history.columns);
            this.draw();
          }

          // Only what the server counts is shown.
          make(columns) {
            const has = series => series.filter(([column]) => columns.includes(column));
            const wanted = [
              ["Connections", [["connections", "open", ""]], quantity],
              ["New connections per second", [["placements", "taken", ""], ["handshakes", "handshakes", "two"]], quantity],
              ["Bytes per second", [["received", "from clients", ""], ["sent", "to clients", "two"]], bytes],
              ["Failures per second", [["handshake_failures", "handshakes", ""], ["refusals", "refused", "two"],
                ["upstream_errors", "upstreams", "bad"], ["moves_failed", "moves", "plain"]], quantity],
              ["Moves per second", [["moves", "moved", ""]], quantity],
            ];
            for (const [title, series, format] of wanted) {
              if (has(series).length > 0) this.shown.push(new Chart(title, has(series), format, this));
            }
            this.shown.push(new PauseChart(this));
            this.node.replaceChildren(...this.shown.map(chart => chart.figure));
            for (const chart of this.shown) this.observer.observe(chart.svg);
          }

          point(place) {
            this.place = place === null ? null : Math.min(1, Math.max(0, place));
            this.draw();
          }

          step(direction) { this.point((this.place === null ? 1 : this.place) + direction / 120); }

          draw() {
            const now = performance.now();
            const cursor = this.place === null ? null : now - (1 - this.place) * this.recent.time;
            for (const chart of this.shown) chart.draw(this.recent, now, cursor);
            setText(byId("lately"), cursor === null ? this.recent.name
              : `${this.recent.name}: ${clock(now - cursor)}, ${span((now - cursor) / 1000)} ago`);
          }
        }

        function markStyle(mark) {
          if (mark.kind === "upgraded") return "upgraded";
          return /died|failed/.test(mark.kind) ? "bad" : "";
        }

        function markName(mark) {
          const names = {
            started: "started", upgraded: "upgraded", reloaded: "configuration read again", upgrade_failed: "an upgrade failed",
            front_died: "the front has died", worker_died: "a worker has died",
          };
          return (names[mark.kind] || mark.kind) + (mark.kind === "upgraded" && mark.version ? ` to ${mark.version}` : "");
        }

        """#
}
