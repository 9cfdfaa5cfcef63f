/// The admin page: a document, its style and its script, served from the admin address and from nowhere else.
enum AdminPage {
    static let document = """
        <!doctype html>
        <html lang="en">
        <meta charset="utf-8">
        <meta name="viewport" content="width=device-width, initial-scale=1">
        <meta name="color-scheme" content="light dark">
        <title>Baton</title>
        <link rel="stylesheet" href="/baton.css">
        <script src="/baton-charts.js" defer></script>
        <script src="/baton.js" defer></script>
        <header>
          <h1>Baton</h1>
          <p id="server"></p>
          <p id="phase" role="status">connecting</p>
        </header>
        <main>
          <dl class="figures">
            <div><dt>connections</dt><dd id="connections">–</dd></div>
            <div><dt>handshakes</dt><dd id="handshakes">–</dd></div>
            <div><dt>moves</dt><dd id="moves">–</dd></div>
            <div><dt>failed moves</dt><dd id="failed">–</dd></div>
            <div><dt>pause, median</dt><dd id="p50">–</dd></div>
            <div><dt>pause, 99 %</dt><dd id="p99">–</dd></div>
            <div><dt>upgrades</dt><dd id="upgrades">–</dd></div>
          </dl>
          <section aria-labelledby="lately">
            <h2 id="lately">The last minutes</h2>
            <div id="charts" class="charts"></div>
            <ol id="marks" class="marks" aria-label="Upgrades and other events, the latest first"></ol>
          </section>
          <div class="pair">
            <section id="upstream-section" aria-labelledby="upstream-title" hidden>
              <h2 id="upstream-title">Upstreams</h2>
              <div class="table"><table>
                <thead><tr><th>upstream<th>address<th>state<th class="n">weight
                  <th class="n">connections<th class="n">opened<th class="n">failed<th>why, or last check</thead>
                <tbody id="upstreams"></tbody>
              </table></div>
            </section>
            <section aria-labelledby="worker-title">
              <h2 id="worker-title">Workers</h2>
              <div class="table"><table>
                <thead><tr><th class="n">worker<th class="n">process<th>state<th class="n">connections
                  <th class="n">moves in<th class="n">moves out</thead>
                <tbody id="workers"></tbody>
              </table></div>
            </section>
          </div>
          <section aria-labelledby="connection-title">
            <h2 id="connection-title">Connections</h2>
            <div class="tools">
              <label for="filter">Filter</label>
              <input id="filter" type="search" maxlength="200" autocomplete="off" autocapitalize="none" spellcheck="false"
                placeholder="peer, server name, target, number">
              <p id="shown" role="status"></p>
              <p class="pages">
                <button id="first" type="button" disabled>First</button>
                <button id="previous" type="button" disabled>Previous</button>
                <button id="next" type="button" disabled>Next</button>
              </p>
            </div>
            <div class="table cards"><table role="table" aria-labelledby="connection-title">
              <thead role="rowgroup"><tr id="columns" role="row"></tr></thead>
              <tbody id="rows" role="rowgroup"></tbody>
            </table></div>
          </section>
        </main>
        </html>

        """
}
