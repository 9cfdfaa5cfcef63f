/// When the configuration is read again. A request is never dropped: one that comes at a moment when it cannot be followed is
/// kept, and followed when the moment has passed; one that comes while files are being read has them read once more, since
/// they may have changed behind the reading.
///
/// It does no I/O and knows no clock. Each method returns what is to be done, in order.
struct ReloadSchedule<Asker> {
    typealias Moment = ServerMoment

    enum Action {
        /// Read the files, off the event loop, and call `hasRead`.
        case read
        /// The successor is to read the files once more: it may have done so before this was asked. Askers are to ask it.
        case passOn([Asker])
        /// There will be no reload any more.
        case refuse([Asker])
    }

    private(set) var moment = Moment.starting
    private var isReading = false
    private var isWanted = false
    /// For the reading that is wanted.
    private var waiting: [Asker] = []
    /// For the reading under way.
    private var served: [Asker] = []

    /// Whether whoever asks now has the files read at once.
    var canBeginNow: Bool { moment == .serving && !isReading }

    /// - Parameter asker: waits for the answer; nil: nobody does.
    mutating func ask(_ asker: Asker?) -> [Action] {
        let askers = asker.map { [$0] } ?? []
        switch moment {
        case .stopping: return [.refuse(askers)]
        case .replaced:
            isWanted = true
            return [.passOn(askers)]
        case .starting, .serving, .replacing:
            isWanted = true
            waiting += askers
            return next()
        }
    }

    mutating func enter(_ moment: Moment) -> [Action] {
        self.moment = moment
        switch moment {
        case .starting, .serving, .replacing: return next()
        case .replaced:
            guard isWanted else { return [] }
            // Still wanted, should the successor fail.
            defer { waiting = [] }
            return [.passOn(waiting)]
        case .stopping:
            isWanted = false
            defer { waiting = [] }
            return waiting.isEmpty ? [] : [.refuse(waiting)]
        }
    }

    /// The files have been read. `true`: put them to use, and call `hasEnded` when that is done. `false`: they are of no use,
    /// because the server is being replaced or stopped by now.
    mutating func hasRead() -> (isOfUse: Bool, actions: [Action]) {
        guard isReading, moment != .serving else { return (isReading, []) }
        isReading = false
        let askers = served
        served = []
        switch moment {
        case .starting, .serving, .replacing:
            isWanted = true
            waiting = askers + waiting
            return (false, [])
        case .replaced:
            isWanted = true
            return (false, [.passOn(askers)])
        case .stopping: return (false, [.refuse(askers)])
        }
    }

    /// What was read is in use, or was refused. Returns who is to be told.
    mutating func hasEnded() -> (askers: [Asker], actions: [Action]) {
        isReading = false
        let askers = served
        served = []
        return (askers, next())
    }

    private mutating func next() -> [Action] {
        guard moment == .serving, isWanted, !isReading else { return [] }
        isWanted = false
        isReading = true
        served = waiting
        waiting = []
        return [.read]
    }
}
