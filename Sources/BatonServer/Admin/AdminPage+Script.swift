extension AdminPage {
    /// Names in it come from peers: they are only ever set as text.
    static let script = #"""
        "use strict";

        const interval = 1000, patience = 5000, pageSize = 100;
        const byId = id => document.getElementById(id);
        let after = null;
        let movesByPeer = new Map();

        function setText(node, text) {
          if (node.textContent !== text) node.textContent = text;
        }

        function count(number) { return number.toLocaleString("en"); }

        function time(microseconds) {
          if (microseconds < 1000) return `${Math.round(microseconds)} µs`;
          if (microseconds < 1e6) return `${Number((microseconds / 1000).toPrecision(3))} ms`;
          return `${Number((microseconds / 1e6).toPrecision(3))} s`;
        }

        function span(seconds) {
          seconds = Math.floor(seconds);
          const units = [["d", 86400], ["h", 3600], ["m", 60], ["s", 1]];
          const parts = [];
          for (const [unit, size] of units) {
            const n = Math.floor(seconds / size);
            seconds %= size;
            if (n > 0 || parts.length > 0) parts.push(`${n}${unit}`);
          }
          return parts.slice(0, 2).filter((part, index) => index === 0 || !part.startsWith("0")).join(" ") || "0s";
        }

        // Cells are kept from one turn to the next, so that a selection or a pointer stays where it is.
        function fill(body, rows) {
          while (body.rows.length > rows.length) body.deleteRow(-1);
          rows.forEach((row, index) => {
            const line = body.rows[index] || body.insertRow();
            line.classList.toggle("moved", row.moved === true);
            row.cells.forEach((cell, column) => {
              const box = line.cells[column] || line.insertCell();
              const text = cell.text === undefined || cell.text === null ? "–" : String(cell.text);
              let name = box.firstChild;
              // Text of either direction stays in its own cell.
              if (!name) { name = document.createElement("bdi"); box.append(name); }
              setText(name, text);
              box.title = cell.title || text;
              box.className = [cell.number ? "n" : "", text === "–" ? "none" : ""].join(" ").trim();
            });
          });
        }

        function showWorkers(status) {
          const number = value => ({ text: count(value), number: true });
          fill(byId("workers"), status.workers.map(worker => ({ cells: [
            { text: worker.number, number: true }, { text: worker.pid, number: true }, { text: worker.state },
            number(worker.connections), number(worker.moves_in), number(worker.moves_out),
          ] })));
        }

        function showConnections(page) {
          const now = new Map();
          fill(byId("rows"), page.rows.map(row => {
            const before = movesByPeer.get(row.peer);
            if (row.peer) now.set(row.peer, row.moves);
            return { moved: before !== undefined && before !== row.moves, cells: [
              { text: row.peer }, { text: row.server_name }, { text: row.alpn }, { text: row.version },
              { text: row.cipher }, { text: row.age_ms === undefined ? null : span(row.age_ms / 1000), number: true },
              { text: count(row.moves), number: true },
              { text: row.worker, number: true, title: `worker ${row.worker}, process ${row.pid}` },
              { text: row.listener }, { text: row.target },
            ] };
          }));
          movesByPeer = now;
          const total = Math.max(page.total, page.rows.length);
          const part = after === null ? "The first" : "Another";
          setText(byId("shown"), page.rows.length < total
            ? `${part} ${count(page.rows.length)} of ${count(total)}.${page.complete ? "" : " A worker did not answer in time."}`
            : `${count(total)} in all.`);
          byId("first").hidden = after === null;
          byId("next").hidden = page.next === undefined;
          byId("next").dataset.after = page.next || "";
        }

        function element(name, attributes, text) {
          const node = document.createElementNS("http://www.w3.org/2000/svg", name);
          for (const [key, value] of Object.entries(attributes)) node.setAttribute(key, value);
          if (text !== undefined) node.textContent = text;
          return node;
        }

        // Time to the right, the pause upwards on a logarithmic scale: most are short, and the long ones matter.
        function plot(pauses) {
          const svg = byId("plot"), left = 64, right = 944, top = 16, bottom = 188;
          const oldest = Math.max(60000, ...pauses.map(pause => pause[0]));
          const longest = Math.max(1000, ...pauses.map(pause => pause[1]));
          const shortest = Math.min(100, ...pauses.map(pause => Math.max(1, pause[1])));
          const low = Math.floor(Math.log10(shortest)), high = Math.ceil(Math.log10(longest));
          const x = age => right - age / oldest * (right - left);
          const y = value => bottom - (Math.log10(Math.max(1, value)) - low) / (high - low) * (bottom - top);
          const parts = [];
          for (let power = low; power <= high; power++) {
            const line = y(10 ** power);
            parts.push(element("line", { class: "grid", x1: left, x2: right, y1: line, y2: line }));
            parts.push(element("text", { class: "end", x: left - 10, y: line + 4 }, time(10 ** power)));
          }
          for (const part of [0, .25, .5, .75, 1]) {
            const text = part === 0 ? "now" : `${span(part * oldest / 1000)} ago`;
            parts.push(element("text", { class: part === 0 ? "end" : "middle", x: x(part * oldest), y: bottom + 22 }, text));
          }
          for (const [age, value] of pauses) {
            const point = element("circle", { cx: x(age).toFixed(1), cy: y(value).toFixed(1), r: 4 });
            point.append(element("title", {}, `${time(value)}, ${span(age / 1000)} ago`));
            parts.push(point);
          }
          if (pauses.length === 0) {
            parts.push(element("text", { class: "middle", x: (left + right) / 2, y: (top + bottom) / 2 }, "nothing has moved yet"));
          }
          svg.replaceChildren(...parts);
        }

        function show(state) {
          const status = state.status;
          setText(byId("server"), `version ${status.version}, process ${status.pid}, up ${span(status.uptime_s)}`);
          setText(byId("phase"), state.phase);
          byId("phase").className = state.phase === "serving" ? "good" : "";
          setText(byId("connections"), count(status.connections));
          setText(byId("moves"), count(status.moves.handoff + status.moves.migration));
          setText(byId("failed"), count(status.moves.failed));
          setText(byId("handshakes"), count(state.handshakes));
          const hasMoved = status.pause_us.max > 0;
          setText(byId("p50"), hasMoved ? time(status.pause_us.p50) : "–");
          setText(byId("p99"), hasMoved ? time(status.pause_us.p99) : "–");
          showWorkers(status);
          showConnections(state.connections);
          plot(state.pauses);
        }

        async function turn() {
          const query = new URLSearchParams({ limit: pageSize });
          if (after !== null) query.set("after", after);
          try {
            const answer = await fetch(`/api/state?${query}`, { signal: AbortSignal.timeout(patience), cache: "no-store" });
            if (!answer.ok) throw new Error(`${answer.status}`);
            show(await answer.json());
          } catch (error) {
            setText(byId("phase"), "no answer, trying again");
            byId("phase").className = "bad";
          }
          setTimeout(turn, interval);
        }

        byId("next").addEventListener("click", () => { after = byId("next").dataset.after || null; });
        byId("first").addEventListener("click", () => { after = null; });
        turn();

        """#
}
