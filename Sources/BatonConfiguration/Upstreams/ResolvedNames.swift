package import BatonCore

/// What is asked of DNS.
package enum NameQuestion: Hashable, Sendable {
    /// The addresses of a host.
    case host(String)
    /// The SRV records of a service.
    case service(String)
}

extension NameQuestion: CustomStringConvertible {
    /// As it stands in the configuration.
    package var description: String {
        switch self {
        case .host(let name): name
        case .service(let name): "srv:\(name)"
        }
    }
}

/// The names of a configuration, what they lead to, and when each is asked for again. The last good answer holds while there is
/// no other.
///
/// No I/O, no clock: moments are on the monotonic clock in nanoseconds.
package struct ResolvedNames: Sendable {
    /// What has come of a question.
    package enum Answer: Hashable, Sendable {
        /// Addresses, the preferred first, and for how many seconds they hold; `nil`: nobody says.
        case addresses([IPAddress], ttl: UInt32?)
        /// Records, and for how many seconds they hold.
        case targets([KnownNames.Target], ttl: UInt32)
        /// None, for this reason.
        case failure(String)
    }

    /// What is to be told of an answer.
    package enum Change: Hashable, Sendable {
        /// It leads elsewhere than before, or somewhere at last.
        case resolved([String])
        /// It cannot be resolved, for this reason; said once.
        case failed(String)
    }

    private struct Entry {
        var interval: Duration?
        var due: UInt64 = 0
        var isAsked = false
        var failures = 0
    }

    /// How long an answer holds that says nothing of it.
    static let standardTTL: UInt64 = 30
    /// The least and the most seconds between questions for a name.
    static let ttlRange: ClosedRange<UInt64> = 1...3_600
    /// The most seconds until a question that has failed is asked again.
    static let longestRetry: UInt64 = 30
    /// The most of an answer that is used.
    package static let maxAnswer = 64

    private var entries: [NameQuestion: Entry] = [:]
    /// What they lead to.
    package private(set) var known = KnownNames()

    /// Knows nothing.
    package init() {}

    /// Asks for these from now on, and forgets the others.
    package mutating func want(_ wanted: [NameQuestion: Duration?]) {
        for question in entries.keys where wanted[question] == nil {
            entries[question] = nil
            switch question {
            case .host(let name): known.hosts[name] = nil
            case .service(let name): known.services[name] = nil
            }
        }
        for (question, interval) in wanted {
            entries[question, default: Entry()].interval = interval
        }
    }

    /// What is to be asked now; each is under way until it is `answered`.
    package mutating func takeDue(at now: UInt64) -> [NameQuestion] {
        let due = entries.filter { !$0.value.isAsked && $0.value.due <= now }.keys.sorted { "\($0)" < "\($1)" }
        for question in due { entries[question]?.isAsked = true }
        return due
    }

    /// When something is to be asked next; `nil`: nothing is, as far as is known.
    package var nextDue: UInt64? { entries.values.lazy.filter { !$0.isAsked }.map(\.due).min() }

    /// Whether every question has been answered once, or has failed.
    package var areSettled: Bool { entries.values.allSatisfy { $0.due > 0 } }

    /// A question has been answered.
    package mutating func answered(_ question: NameQuestion, _ answer: Answer, at now: UInt64) -> Change? {
        guard var entry = entries[question] else { return nil }
        entry.isAsked = false
        defer { entries[question] = entry }
        func hold(_ ttl: UInt32?) {
            let seconds = min(
                max(ttl.map(UInt64.init) ?? Self.standardTTL, Self.ttlRange.lowerBound), Self.ttlRange.upperBound)
            entry.due = now &+ (entry.interval?.nanoseconds ?? seconds * 1_000_000_000)
            entry.failures = 0
        }
        switch (question, answer) {
        case (.host(let name), .addresses(let addresses, let ttl)) where !addresses.isEmpty:
            hold(ttl)
            let texts = addresses.prefix(Self.maxAnswer).map { "\($0.unmapped)" }
            let before = known.hosts[name]
            // DNS gives the same addresses in another order each time.
            if let before, Set(before) == Set(texts) { return nil }
            known.hosts[name] = texts
            return .resolved(texts)
        case (.service(let name), .targets(let targets, let ttl)) where !targets.isEmpty:
            hold(ttl)
            let some = targets.sorted { ($0.priority, $0.host, $0.port) < ($1.priority, $1.host, $1.port) }
                .prefix(Self.maxAnswer)
            if known.services[name] == Array(some) { return nil }
            known.services[name] = Array(some)
            return .resolved(some.map { "\($0.host):\($0.port)" })
        case (_, let answer):
            entry.failures += 1
            entry.due = now &+ min(1 << UInt64(min(entry.failures - 1, 8)), Self.longestRetry) * 1_000_000_000
            guard entry.failures == 1 else { return nil }
            guard case .failure(let why) = answer else { return .failed("it has no addresses") }
            return .failed(why)
        }
    }
}
