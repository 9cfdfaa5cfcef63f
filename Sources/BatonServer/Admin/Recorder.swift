internal import BatonConfiguration
internal import BatonCore

/// Writes the server's history. Used on the front's loop only.
final class Recorder: @unchecked Sendable {
    private(set) var history: History
    private let figures: Figures
    private var deaths: ProcessDeaths
    /// When this front has all that is to be sampled: before, its counters are not the server's.
    private var samplesFrom = UInt64.max

    /// - Parameter history: what the front before has left.
    init(_ history: History?, of figures: Figures, deaths: ProcessDeaths) {
        self.history = history ?? History()
        self.figures = figures
        self.deaths = deaths
    }

    /// This front serves from now on.
    ///
    /// - Parameter how: how it has come to that.
    func begin(_ how: History.Mark.Kind) {
        mark(how, version: BatonVersion.current)
        // Workers tell a front that follows another what they have when it has begun.
        samplesFrom = how == .started ? 0 : Self.now + History.interval
        look()
    }

    /// Time has passed.
    func look() {
        let now = Self.now
        guard now >= samplesFrom, history.isDue(at: now) else { return }
        history.sample(figures.sampled, at: now)
    }

    func mark(_ kind: History.Mark.Kind, version: String? = nil) {
        history.mark(kind, version: version, at: Self.now)
    }

    /// What the keeper has seen. That a front has died, the next one knows by itself.
    func note(_ deaths: ProcessDeaths) {
        if deaths.workers > self.deaths.workers { mark(.workerDied) }
        self.deaths = deaths
    }

    /// Milliseconds.
    static var now: UInt64 { MonotonicTime.now / 1_000_000 }
}
