/// What is read again.
enum ReloadScope {
    /// The certificates and the like that the configuration in use names, because their files have changed.
    case certificates
    /// The configuration, with all files that it names.
    case configuration
}

/// When the configuration is read again. A request is never dropped: one that comes at a moment when it cannot be followed is
/// kept, and followed when the moment has passed; one that comes while files are being read has them read once more, since
/// they may have changed behind the reading. A change of certificates is followed likewise, but a successor hears of that by itself.
///
/// It does no I/O and knows no clock. Each method returns what is to be done, in order.
struct ReloadSchedule<Asker> {
    typealias Moment = ServerMoment

    enum Action {
        /// Read the files, off the event loop, and call `hasRead`.
        case read(ReloadScope)
        /// The successor is to read the files once more: it may have done so before this was asked. Askers are to ask it.
        case passOn([Asker])
        /// There will be no reload any more.
        case refuse([Asker])
    }

    private(set) var moment = Moment.starting
    private var reading: ReloadScope?
    private var wanted: ReloadScope?
    /// For the reading that is wanted.
    private var waiting: [Asker] = []
    /// For the reading under way.
    private var served: [Asker] = []

    /// Whether whoever asks now has the files read at once.
    var canBeginNow: Bool { moment == .serving && reading == nil }

    /// - Parameter asker: waits for the answer; nil: nobody does.
    mutating func ask(_ asker: Asker?) -> [Action] {
        let askers = asker.map { [$0] } ?? []
        switch moment {
        case .stopping: return [.refuse(askers)]
        case .replaced:
            want(.configuration)
            return [.passOn(askers)]
        case .starting, .serving, .replacing:
            want(.configuration)
            waiting += askers
            return next()
        }
    }

    /// Files of certificates have changed.
    mutating func certificatesChanged() -> [Action] {
        guard moment != .stopping else { return [] }
        want(.certificates)
        return next()
    }

    mutating func enter(_ moment: Moment) -> [Action] {
        self.moment = moment
        switch moment {
        case .starting, .serving, .replacing: return next()
        case .replaced:
            guard wanted == .configuration else { return [] }
            // Still wanted, should the successor fail.
            defer { waiting = [] }
            return [.passOn(waiting)]
        case .stopping:
            wanted = nil
            defer { waiting = [] }
            return waiting.isEmpty ? [] : [.refuse(waiting)]
        }
    }

    /// The files have been read. `true`: put them to use, and call `hasEnded` when that is done. `false`: they are of no use,
    /// because the server is being replaced or stopped by now.
    mutating func hasRead() -> (isOfUse: Bool, actions: [Action]) {
        guard let scope = reading, moment != .serving else { return (reading != nil, []) }
        reading = nil
        let askers = served
        served = []
        switch moment {
        case .starting, .serving, .replacing:
            want(scope)
            waiting = askers + waiting
            return (false, [])
        case .replaced:
            want(scope)
            return (false, scope == .configuration ? [.passOn(askers)] : [])
        case .stopping: return (false, scope == .configuration ? [.refuse(askers)] : [])
        }
    }

    /// What was read is in use, or was refused. Returns who is to be told.
    mutating func hasEnded() -> (askers: [Asker], actions: [Action]) {
        reading = nil
        let askers = served
        served = []
        return (askers, next())
    }

    private mutating func next() -> [Action] {
        guard moment == .serving, let scope = wanted, reading == nil else { return [] }
        wanted = nil
        reading = scope
        served = waiting
        waiting = []
        return [.read(scope)]
    }

    private mutating func want(_ scope: ReloadScope) {
        if wanted != .configuration { wanted = scope }
    }
}
