extension AdminPage {
    static let style = """
        :root {
          --ground: #f7f7f5; --surface: #fff; --ink: #1b1d21; --quiet: #5d6168; --line: #e3e3de; --field: #7b7f86;
          --one: #2460b0; --two: #a85412; --moved: #e6effb; --bad: #ad2c26; --good: #23703f; --warn: #8a5a00;
        }
        @media (prefers-color-scheme: dark) {
          :root {
            --ground: #131518; --surface: #1a1d21; --ink: #e3e5e8; --quiet: #9ba0a8; --line: #2b2f35; --field: #868c95;
            --one: #7db0f2; --two: #eaa05c; --moved: #20304a; --bad: #f08d86; --good: #7cc79a; --warn: #dcb055;
          }
        }
        *, ::before, ::after { box-sizing: border-box; }
        html { -webkit-text-size-adjust: 100%; text-size-adjust: 100%; }
        body {
          margin: 0 auto; padding: 1.1rem 1.5rem 3rem; max-width: 96rem; background: var(--ground); color: var(--ink);
          font: 14px/1.45 system-ui, -apple-system, "Segoe UI", Roboto, "DejaVu Sans", sans-serif;
          font-variant-numeric: tabular-nums;
        }
        [hidden] { display: none !important; }
        header { display: flex; flex-wrap: wrap; align-items: baseline; gap: .1rem 1rem; margin-bottom: .8rem; }
        h1 { font-size: 1.2rem; margin: 0; letter-spacing: -.01em; }
        h2 { font-size: .95rem; margin: 1.5rem 0 .5rem; }
        h3 { font-size: .85rem; font-weight: 600; margin: 0; flex: 1 0 100%; }
        header p { margin: 0; color: var(--quiet); }
        #phase { margin-left: auto; }
        #phase::before, td.state bdi::before {
          content: ""; display: inline-block; width: .6em; height: .6em; border-radius: 50%; margin-right: .5em;
          background: var(--quiet);
        }
        #phase.good::before, td.state.good bdi::before { background: var(--good); }
        #phase.bad, td.state.bad { color: var(--bad); font-weight: 600; }
        #phase.bad::before, td.state.bad bdi::before { background: var(--bad); border-radius: 0; }
        td.state.warn { color: var(--warn); }
        td.state.warn bdi::before { background: none; border: .15em solid var(--warn); }
        .stale main { opacity: .55; }

        .figures {
          display: grid; grid-template-columns: repeat(7, 1fr); margin: 0; overflow: hidden; gap: 1px;
          background: var(--line); border: 1px solid var(--line); border-radius: 6px;
        }
        .figures div { padding: .5rem .9rem; background: var(--surface); }
        dt { color: var(--quiet); font-size: .8rem; }
        dd { margin: 0; font-size: 1.3rem; line-height: 1.3; letter-spacing: -.01em; }

        .charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(22rem, 100%), 1fr)); gap: .75rem; }
        .chart { margin: 0; padding: .6rem .75rem .35rem; min-width: 0; }
        .chart, .table { background: var(--surface); border: 1px solid var(--line); border-radius: 6px; }
        figcaption { display: flex; flex-wrap: wrap; align-items: baseline; gap: 0 .9rem; }
        figcaption p { margin: 0; color: var(--quiet); font-size: .8rem; white-space: nowrap; }
        figcaption b { color: var(--ink); font-weight: 600; }
        figcaption p::before {
          content: ""; display: inline-block; width: .9em; margin-right: .4em; vertical-align: .25em;
          border-top: 2px solid var(--one);
        }
        figcaption p.two::before { border-top: 2px dashed var(--two); }
        figcaption p.bad::before { border-top: 2px dotted var(--bad); }
        figcaption p.plain::before { border-top: 2px solid var(--field); }
        figcaption p.points::before { border-top: 0; width: 5px; height: 5px; border-radius: 50%; background: var(--one); }
        .chart svg { display: block; width: 100%; height: 132px; margin-top: .25rem; touch-action: pan-y; }
        svg text { fill: var(--quiet); font-size: 11px; }
        svg .grid { stroke: var(--line); }
        svg .line { fill: none; stroke: var(--one); stroke-width: 1.5; stroke-linejoin: round; }
        svg .area { fill: var(--one); fill-opacity: .1; }
        svg .line.two { stroke: var(--two); stroke-dasharray: 5 2; }
        svg .line.bad { stroke: var(--bad); stroke-dasharray: 2 2; }
        svg .line.plain { stroke: var(--field); }
        svg .dot { fill: var(--one); fill-opacity: .6; }
        svg .mark { stroke: var(--quiet); stroke-dasharray: 2 3; }
        svg .mark.upgraded { stroke: var(--ink); stroke-dasharray: none; }
        svg .mark.bad { stroke: var(--bad); stroke-dasharray: none; }
        svg .flag { fill: var(--quiet); }
        svg .flag.upgraded { fill: var(--ink); }
        svg .flag.bad { fill: var(--bad); }
        svg .cursor { stroke: var(--field); }
        svg .middle { text-anchor: middle; }
        svg .end { text-anchor: end; }
        .marks {
          display: flex; flex-wrap: wrap; gap: .2rem 1.4rem; margin: .6rem 0 0; padding: 0; list-style: none;
          color: var(--quiet); font-size: .85rem;
        }
        .marks b { color: var(--ink); font-weight: 600; }
        .marks .bad b { color: var(--bad); }

        .pair { display: flex; flex-wrap: wrap; gap: 0 .75rem; }
        .pair section { flex: 2 1 min(26rem, 100%); min-width: 0; }
        #upstream-section { flex: 3 1 min(38rem, 100%); }
        .table { overflow-x: auto; }
        table { border-collapse: collapse; width: 100%; font-size: .9rem; }
        th, td { padding: .3rem .7rem; text-align: left; white-space: nowrap; }
        td { border-top: 1px solid var(--line); max-width: 18rem; overflow: hidden; text-overflow: ellipsis; }
        th { color: var(--quiet); font-weight: 500; font-size: .8rem; }
        .n { text-align: right; }
        tbody tr:hover td { background: var(--ground); }
        tr.moved td, tbody tr.moved:hover td { background: var(--moved); }
        tbody td { transition: background-color .6s; }
        td.none { color: var(--quiet); }
        th button {
          font: inherit; color: inherit; background: none; border: 0; margin: 0; padding: .15rem 0; cursor: pointer;
          white-space: nowrap;
        }
        th button::after { content: "\\25b4"; visibility: hidden; margin-left: .3em; }
        th.n button::after { margin-left: 0; }
        th.n button::before { content: "\\25b4"; visibility: hidden; margin-right: .3em; }
        th.n button::after { display: none; }
        th button:hover { color: var(--ink); }
        th[aria-sort] button { color: var(--ink); font-weight: 600; }
        th[aria-sort] button::after, th[aria-sort] button::before { visibility: visible; }
        th[aria-sort=descending] button::after, th[aria-sort=descending] button::before { content: "\\25be"; }

        .tools { display: flex; flex-wrap: wrap; align-items: center; gap: .4rem .7rem; margin-bottom: .5rem; }
        .tools label { color: var(--quiet); }
        .tools p { margin: 0; color: var(--quiet); }
        .tools .pages { margin-left: auto; display: flex; gap: .4rem; }
        input {
          font: inherit; color: inherit; background: var(--surface); border: 1px solid var(--field); border-radius: 5px;
          padding: .25rem .6rem; width: 22rem; max-width: 100%;
        }
        input::placeholder { color: var(--quiet); opacity: 1; }
        .pages button {
          font: inherit; color: var(--one); background: var(--surface); border: 1px solid var(--field); border-radius: 5px;
          padding: .25rem .8rem; cursor: pointer;
        }
        .pages button:hover:enabled { border-color: var(--one); }
        .pages button:disabled { color: var(--quiet); border-color: var(--line); cursor: default; }
        :focus-visible { outline: 2px solid var(--one); outline-offset: 2px; }

        @media (max-width: 62rem) { .figures { grid-template-columns: repeat(4, 1fr); } .figures div:last-child { grid-column: auto / span 2; } }

        /* A telephone: the list of connections becomes cards, and what can be touched has the size of a finger. */
        @media (max-width: 44rem) {
          body { padding: .8rem .8rem 2rem; }
          #phase { margin-left: 0; }
          .figures { grid-template-columns: 1fr 1fr; }
          .figures div { padding: .4rem .75rem; }
          .figures div:last-child { grid-column: 1 / -1; display: flex; align-items: baseline; gap: .6rem; }
          .figures div:last-child dd { font-size: 1rem; }
          th, td { padding: .3rem .5rem; }
          .pair th { white-space: normal; vertical-align: bottom; }
          input { width: 100%; min-height: 44px; font-size: 16px; }
          .tools .pages { margin-left: 0; width: 100%; }
          .pages button { min-height: 44px; flex: 1; }
          .cards { overflow: visible; background: none; border: 0; }
          .cards table, .cards thead, .cards tbody { display: block; }
          .cards thead tr { display: flex; gap: .4rem; overflow-x: auto; padding: 0 2px .6rem; }
          .cards th { padding: 0; flex: none; }
          .cards th button {
            min-height: 44px; min-width: 44px; padding: 0 .75rem; border: 1px solid var(--field); border-radius: 5px;
            background: var(--surface); font-size: .85rem;
          }
          .cards th button::before, .cards th button::after { display: none; }
          .cards th[aria-sort] button { border-color: var(--one); color: var(--one); }
          .cards th[aria-sort] button::after, .cards th.n[aria-sort] button::after { display: inline; margin-left: .3em; }
          .cards tbody tr {
            display: grid; grid-template-columns: 1fr 1fr; gap: 0 .9rem; padding: .55rem .75rem; margin-bottom: .5rem;
            background: var(--surface); border: 1px solid var(--line); border-radius: 6px;
          }
          .cards tr.moved { background: var(--moved); }
          .cards td, .cards tbody tr:hover td { border: 0; padding: .08rem 0; max-width: none; min-width: 0; background: none; }
          .cards td, .cards td.n { display: flex; justify-content: space-between; gap: .6rem; text-align: right; }
          .cards td bdi { overflow: hidden; text-overflow: ellipsis; }
          .cards td::before { content: attr(data-label); color: var(--quiet); font-size: .8rem; flex: none; }
          .cards td.wide { grid-column: 1 / -1; }
          .cards td.title { font-weight: 600; text-align: left; }
          .cards td.title::before { display: none; }
          .cards td.none { display: none; }
        }
        @media (prefers-reduced-motion: reduce) { tbody td { transition: none; } }

        """
}
