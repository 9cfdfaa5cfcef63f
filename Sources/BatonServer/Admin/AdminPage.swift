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
        <script src="/baton.js" defer></script>
        <header>
          <h1>Baton</h1>
          <p id="server"></p>
          <p id="phase" role="status">connecting</p>
        </header>
        <main>
          <dl class="figures">
            <div><dt>connections</dt><dd id="connections">–</dd></div>
            <div><dt>moves</dt><dd id="moves">–</dd></div>
            <div><dt>failed moves</dt><dd id="failed">–</dd></div>
            <div><dt>handshakes</dt><dd id="handshakes">–</dd></div>
            <div><dt>pause, median</dt><dd id="p50">–</dd></div>
            <div><dt>pause, 99 %</dt><dd id="p99">–</dd></div>
          </dl>
          <section>
            <h2>Recent pauses</h2>
            <p class="note" id="plot-note">How long connections stood still when they moved.</p>
            <svg id="plot" viewBox="0 0 960 220" role="img" aria-labelledby="plot-note"></svg>
          </section>
          <section>
            <h2>Workers</h2>
            <div class="table"><table>
              <thead><tr><th class="n">worker<th class="n">process<th>state<th class="n">connections
                <th class="n">moves in<th class="n">moves out</thead>
              <tbody id="workers"></tbody>
            </table></div>
          </section>
          <section>
            <h2>Connections</h2>
            <p class="note"><span id="shown"></span>
              <button id="first" type="button" hidden>first</button>
              <button id="next" type="button" hidden>next</button></p>
            <div class="table"><table>
              <thead><tr><th>peer<th>server name<th>ALPN<th>TLS<th>cipher<th class="n">age<th class="n">moves
                <th class="n">owner<th>listener<th>target</thead>
              <tbody id="rows"></tbody>
            </table></div>
          </section>
        </main>
        </html>

        """
}
