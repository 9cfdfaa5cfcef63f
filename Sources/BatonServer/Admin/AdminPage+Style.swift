extension AdminPage {
    static let style = """
        :root {
          --ground: #fbfbfa; --surface: #fff; --ink: #1d1f23; --quiet: #686c73; --line: #e4e4e0;
          --mark: #2b66b8; --moved: #e8f0fb; --bad: #b3322c; --good: #2c7a4b;
        }
        @media (prefers-color-scheme: dark) {
          :root {
            --ground: #15171a; --surface: #1c1f23; --ink: #e4e6e9; --quiet: #989da5; --line: #2d3137;
            --mark: #78abee; --moved: #22324a; --bad: #ef8b84; --good: #7cc79a;
          }
        }
        * { box-sizing: border-box; }
        body {
          margin: 0 auto; padding: 2rem 1.5rem 4rem; max-width: 76rem; background: var(--ground); color: var(--ink);
          font: 15px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif;
        }
        header { display: flex; flex-wrap: wrap; align-items: baseline; gap: .25rem 1rem; margin-bottom: 1.5rem; }
        h1 { font-size: 1.4rem; margin: 0; letter-spacing: -.01em; }
        h2 { font-size: 1rem; margin: 2.25rem 0 .25rem; }
        header p, .note { margin: 0; color: var(--quiet); }
        #phase { margin-left: auto; }
        #phase::before {
          content: ""; display: inline-block; width: .55em; height: .55em; border-radius: 50%; margin-right: .5em;
          background: var(--quiet);
        }
        #phase.good::before { background: var(--good); }
        #phase.bad { color: var(--bad); }
        #phase.bad::before { background: var(--bad); }
        .figures { display: grid; grid-template-columns: repeat(auto-fit, minmax(9rem, 1fr)); gap: .75rem; margin: 0; }
        .figures div, .table, svg { background: var(--surface); border: 1px solid var(--line); border-radius: 8px; }
        .figures div { padding: .75rem 1rem; }
        dt { color: var(--quiet); font-size: .85rem; }
        dd { margin: 0; font-size: 1.5rem; font-variant-numeric: tabular-nums; letter-spacing: -.01em; }
        svg { display: block; width: 100%; height: auto; margin-top: .6rem; }
        svg text { fill: var(--quiet); font-size: 12px; font-variant-numeric: tabular-nums; }
        svg .grid { stroke: var(--line); stroke-width: 1; }
        svg circle { fill: var(--mark); fill-opacity: .65; }
        svg circle:hover { fill-opacity: 1; r: 6; }
        svg .middle { text-anchor: middle; }
        svg .end { text-anchor: end; }
        .table { overflow-x: auto; margin-top: .6rem; }
        table { border-collapse: collapse; width: 100%; font-size: .9rem; font-variant-numeric: tabular-nums; }
        th, td { padding: .45rem .85rem; text-align: left; white-space: nowrap; }
        td { border-top: 1px solid var(--line); max-width: 20rem; overflow: hidden; text-overflow: ellipsis; }
        th { color: var(--quiet); font-weight: 500; font-size: .85rem; }
        .n { text-align: right; }
        tr.moved td { background: var(--moved); }
        tbody td { transition: background-color .6s; }
        td.none { color: var(--quiet); }
        button {
          font: inherit; color: var(--mark); background: none; border: 1px solid var(--line); border-radius: 6px;
          padding: 0 .6rem; margin-left: .5rem; cursor: pointer;
        }
        button:hover { border-color: var(--mark); }
        :focus-visible { outline: 2px solid var(--mark); outline-offset: 2px; }
        @media (prefers-reduced-motion: reduce) { tbody td { transition: none; } }

        """
}
