extension AdminPage {
    /// Names in it come from peers: they are only ever set as text.
    static let script = #"""
        "use strict";

        const interval = 1000, patience = 5000;
        const byId = id => document.getElementById(id);
        const isNarrow = matchMedia("(max-width: 44rem)");
        const charts = new Charts(byId("charts"));
        // What is asked for, and where each page began.
        let query = readQuery();
        let pages = [null];
        let turnNumber = 0;
        let timer, lost;
        let movesByPeer = new Map();

        function setText(node, text) {
          if (node.textContent !== text) node.textContent = text;
        }

        function count(number) { return number.toLocaleString("en"); }

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

        function clock(age) {
          return new Date(Date.now() - age).toLocaleTimeString("en-GB", { hour: "2-digit", minute: "2-digit", second: "2-digit" });
        }

        // Cells are kept from one turn to the next, so that a selection or a pointer stays where it is.
        function fill(body, rows, columns) {
          while (body.rows.length > rows.length) body.deleteRow(-1);
          rows.forEach((row, index) => {
            const line = body.rows[index] || body.insertRow();
            if (columns) line.setAttribute("role", "row");
            line.classList.toggle("moved", row.moved === true);
            row.cells.forEach((cell, column) => {
              const box = line.cells[column] || line.insertCell();
              const text = cell.text === undefined || cell.text === null ? "–" : String(cell.text);
              let name = box.firstChild;
              // Text of either direction stays in its own cell.
              if (!name) { name = document.createElement("bdi"); box.append(name); }
              setText(name, text);
              box.title = cell.title || text;
              const style = columns ? columns[column].style || "" : "";
              box.className = [cell.number ? "n" : "", style, cell.style || "", text === "–" ? "none" : ""].join(" ")
                .replace(/ +/g, " ").trim();
              if (columns) {
                box.setAttribute("role", "cell");
                box.dataset.label = columns[column].name;
              }
            });
          });
        }

        function state(word) {
          const style = /^(ready|up|serving)$/.test(word) ? "good" : /^(down|ejected|unresolved|silent)$/.test(word) ? "bad"
            : /^(draining|retiring|starting)$/.test(word) ? "warn" : "";
          return { text: word, style: `state ${style}` };
        }

        function showWorkers(status) {
          const number = value => ({ text: count(value), number: true });
          fill(byId("workers"), status.workers.map(worker => ({ cells: [
            { text: worker.number, number: true }, { text: worker.pid, number: true }, state(worker.state),
            number(worker.connections), number(worker.moves_in), number(worker.moves_out),
          ] })));
        }

        function showUpstreams(upstreams) {
          byId("upstream-section").hidden = !upstreams || upstreams.length === 0;
          const number = value => ({ text: value === undefined ? null : count(value), number: true });
          fill(byId("upstreams"), (upstreams || []).map(upstream => ({ cells: [
            { text: upstream.upstream }, { text: upstream.address, title: upstream.name && `${upstream.address}, by ${upstream.name}` },
            state(upstream.state), number(upstream.weight), number(upstream.connections), number(upstream.opened),
            number(upstream.failed), { text: upstream.reason || upstream.last_check },
          ] })));
        }

        // MARK: Connections

        const columns = [
          { sort: "peer", name: "peer", style: "wide title" }, { sort: "server_name", name: "server name", style: "wide" },
          { sort: "target", name: "target", style: "wide" }, { sort: "age_ms", name: "age", number: true },
          { sort: "received", name: "received", number: true }, { sort: "sent", name: "sent", number: true },
          { sort: "moves", name: "moves", number: true }, { sort: "worker", name: "worker", number: true },
          { sort: "version", name: "TLS" }, { sort: "cipher", name: "cipher", style: "wide" },
          { sort: "alpn", name: "ALPN" }, { sort: "listener", name: "listener" },
        ];

        function readQuery() {
          const words = new URLSearchParams(location.hash.slice(1));
          return { filter: words.get("filter") || "", sort: words.get("sort"), order: words.get("order") || "asc" };
        }

        function ask(changes) {
          query = { ...query, ...changes };
          pages = [null];
          const words = new URLSearchParams();
          for (const name of ["filter", "sort", "order"]) if (query[name]) words.set(name, query[name]);
          if (!query.sort) words.delete("order");
          history.replaceState(null, "", words.size > 0 ? `#${words}` : location.pathname);
          showColumns();
          turn();
        }

        function sortBy(column) {
          const first = column.number ? "desc" : "asc", second = column.number ? "asc" : "desc";
          if (query.sort !== column.sort) return ask({ sort: column.sort, order: first });
          ask(query.order === first ? { order: second } : { sort: null, order: "asc" });
        }

        function makeColumns() {
          for (const column of columns) {
            const head = document.createElement("th");
            head.setAttribute("role", "columnheader");
            head.setAttribute("scope", "col");
            if (column.number) head.className = "n";
            const button = document.createElement("button");
            button.type = "button";
            button.textContent = column.name;
            button.addEventListener("click", () => sortBy(column));
            head.append(button);
            byId("columns").append(head);
          }
        }

        function showColumns() {
          columns.forEach((column, index) => {
            const head = byId("columns").cells[index];
            if (column.sort === query.sort) {
              head.setAttribute("aria-sort", query.order === "desc" ? "descending" : "ascending");
            } else {
              head.removeAttribute("aria-sort");
            }
          });
        }

        function showConnections(page) {
          const now = new Map();
          const number = (value, format) => ({ text: value === undefined ? null : format(value), number: true });
          fill(byId("rows"), page.rows.map(row => {
            const before = movesByPeer.get(row.peer);
            if (row.peer) now.set(row.peer, row.moves);
            return { moved: before !== undefined && before !== row.moves, cells: [
              { text: row.peer, title: `${row.peer || "Unix socket"}, connection ${row.connection || row.id}` }, { text: row.server_name }, { text: row.target },
              number(row.age_ms, age => span(age / 1000)), number(row.received, bytes), number(row.sent, bytes),
              number(row.moves, count), { text: row.worker, number: true, title: `worker ${row.worker}, process ${row.pid}` },
              { text: row.version }, { text: row.cipher }, { text: row.alpn }, { text: row.listener },
            ] };
          }), columns);
          movesByPeer = now;
          const known = page.matched === undefined ? Math.max(page.total, page.rows.length) : page.matched;
          let text = query.filter ? `${count(known)} of ${count(Math.max(page.total, known))} match` : `${count(known)} in all`;
          if (page.rows.length < known) {
            text += pages.length === 1 ? `; the first ${count(page.rows.length)}` : `; page ${count(pages.length)}`;
          }
          if (!page.complete) text += "; a worker did not answer in time";
          setText(byId("shown"), text);
          byId("first").disabled = byId("previous").disabled = pages.length === 1;
          byId("next").disabled = page.next === undefined;
          byId("next").dataset.after = page.next || "";
        }

        // MARK: All

        function showMarks(marks) {
          const list = byId("marks");
          const shown = marks.slice(-6).reverse();
          while (list.children.length > shown.length) list.lastChild.remove();
          shown.forEach((mark, index) => {
            const item = list.children[index] || list.appendChild(document.createElement("li"));
            if (!item.firstChild) item.append(document.createElement("b"), "");
            item.className = markStyle(mark);
            setText(item.firstChild, markName(mark));
            const text = ` ${span(mark.age_ms / 1000)} ago, ${clock(mark.age_ms)}`;
            if (item.lastChild.data !== text) item.lastChild.data = text;
          });
        }

        function show(answer) {
          const status = answer.status;
          setText(byId("server"), `version ${status.version}, process ${status.pid}, up ${span(status.uptime_s)}`);
          setText(byId("phase"), answer.phase);
          byId("phase").className = answer.phase === "serving" ? "good" : "";
          document.body.classList.remove("stale");
          lost = undefined;
          setText(byId("connections"), count(status.connections));
          setText(byId("moves"), count(status.moves.handoff + status.moves.migration));
          setText(byId("failed"), count(status.moves.failed));
          setText(byId("handshakes"), count(answer.handshakes));
          setText(byId("upgrades"), count(answer.history.upgrades));
          const hasMoved = status.pause_us.max > 0;
          setText(byId("p50"), hasMoved ? duration(status.pause_us.p50) : "–");
          setText(byId("p99"), hasMoved ? duration(status.pause_us.p99) : "–");
          showWorkers(status);
          showUpstreams(status.upstreams);
          showConnections(answer.connections);
          charts.add(answer.history, answer.pauses);
          showMarks(answer.history.marks);
        }

        async function turn() {
          clearTimeout(timer);
          const number = ++turnNumber;
          // A page that nobody sees asks for nothing.
          if (document.hidden) return;
          const words = new URLSearchParams({ limit: isNarrow.matches ? 25 : 100, known: charts.recent.count });
          if (query.filter) words.set("filter", query.filter);
          if (query.sort) { words.set("sort", query.sort); words.set("order", query.order); }
          const after = pages[pages.length - 1];
          if (after !== null) words.set("after", after);
          const began = performance.now();
          try {
            // A plus sign is itself to the server, and no space.
            const asked = words.toString().replace(/\+/g, "%20");
            const answer = await fetch(`/api/state?${asked}`, { signal: AbortSignal.timeout(patience), cache: "no-store" });
            if (!answer.ok) throw new Error(`${answer.status}`);
            const told = await answer.json();
            if (number !== turnNumber) return;
            show(told);
          } catch (error) {
            if (number !== turnNumber) return;
            if (lost === undefined) lost = Date.now();
            setText(byId("phase"), `no answer since ${clock(Date.now() - lost)}, trying again`);
            byId("phase").className = "bad";
            document.body.classList.add("stale");
          }
          // A list that takes long to make is asked for less often.
          timer = setTimeout(turn, Math.max(interval, 4 * (performance.now() - began)));
        }

        makeColumns();
        showColumns();
        byId("filter").value = query.filter;
        let typing;
        byId("filter").addEventListener("input", () => {
          clearTimeout(typing);
          typing = setTimeout(() => ask({ filter: byId("filter").value.trim().split(/\s+/).slice(0, 8).join(" ") }), 200);
        });
        byId("next").addEventListener("click", () => {
          if (byId("next").dataset.after) { pages.push(byId("next").dataset.after); turn(); }
        });
        byId("previous").addEventListener("click", () => { if (pages.length > 1) { pages.pop(); turn(); } });
        byId("first").addEventListener("click", () => { pages = [null]; turn(); });
        isNarrow.addEventListener("change", () => { pages = [null]; turn(); });
        document.addEventListener("visibilitychange", () => { if (!document.hidden) turn(); });
        turn();

        """#
}
