internal import Foundation

/// What the server has done in the last minutes, and what has befallen it: samples of its counters at even intervals, in a ring,
/// and marks. It goes on to the front after this one, so that a page that is opened at any time shows what was before.
///
/// Times are milliseconds on CLOCK_MONOTONIC, which all processes of the machine share.
struct History: Sendable, Equatable {
    /// Milliseconds between two samples.
    static let interval: UInt64 = 2_000
    /// Samples: ten minutes.
    static let capacity = 300
    static let maxMarks = 64

    /// What is sampled. A program of another version may know others.
    enum Column: String, CaseIterable, Sendable {
        /// How many there are; all others are how many there were in the time of a sample.
        case connections
        case placements, handshakes, moves, received, sent
        case handshakeFailures = "handshake_failures"
        case refusals
        case movesFailed = "moves_failed"
        case upstreamErrors = "upstream_errors"
    }

    /// Counters as they stand.
    typealias Totals = [Column: Int]

    struct Sample: Sendable, Equatable {
        var at: UInt64
        /// Milliseconds since the sample before it.
        var elapsed: UInt64
        /// In the order of the history's columns.
        var values: [Int]
    }

    struct Mark: Codable, Sendable, Equatable {
        enum Kind: String, Codable, Sendable {
            case started, upgraded, reloaded
            case upgradeFailed = "upgrade_failed"
            case frontDied = "front_died"
            case workerDied = "worker_died"
        }

        var at: UInt64
        var kind: Kind
        /// The version that runs since then, where it is another process.
        var version: String?
    }

    let columns = Column.allCases
    /// The oldest first.
    private(set) var samples: [Sample] = []
    /// How many samples there have been.
    private(set) var count = 0
    /// The oldest first.
    private(set) var marks: [Mark] = []
    /// Upgrades since the service began.
    private(set) var upgrades = 0
    private var totals: Totals?
    private var sampledAt: UInt64 = 0

    /// Whether the server counts this.
    func counts(_ column: Column) -> Bool { totals?[column] != nil }

    /// Whether it is time for another sample.
    func isDue(at now: UInt64) -> Bool { totals == nil || now >= sampledAt &+ Self.interval }

    /// What has been counted so far. The first time, nothing is known of what came before.
    mutating func sample(_ now: Totals, at time: UInt64) {
        defer {
            totals = now
            sampledAt = time
        }
        guard let totals, time > sampledAt else { return }
        let values = columns.map { column in
            // A counter may fall if a process dies before it has told all.
            column == .connections
                ? now[column] ?? 0 : max(0, (now[column] ?? 0) - (totals[column] ?? now[column] ?? 0))
        }
        samples.append(Sample(at: time, elapsed: time - sampledAt, values: values))
        samples.removeFirst(max(0, samples.count - Self.capacity))
        count += 1
    }

    mutating func mark(_ kind: Mark.Kind, version: String? = nil, at time: UInt64) {
        if kind == .upgraded { upgrades += 1 }
        marks.append(Mark(at: time, kind: kind, version: version))
        marks.removeFirst(max(0, marks.count - Self.maxMarks))
    }

    /// The samples behind the first `known`; all, if those are not what this is the continuation of.
    func samples(behind known: Int) -> ArraySlice<Sample> {
        let missing = count - known
        return missing >= 0 && missing <= samples.count ? samples.suffix(missing) : samples[...]
    }
}

extension History: Codable {
    private enum CodingKeys: String, CodingKey {
        case columns, samples, count, marks, upgrades, totals
        case sampledAt = "sampled_at"
    }

    func encode(to encoder: any Encoder) throws {
        var container = encoder.container(keyedBy: CodingKeys.self)
        try container.encode(columns.map(\.rawValue), forKey: .columns)
        // Text is written many times faster than as many numbers.
        try container.encode(samples.map(\.text), forKey: .samples)
        try container.encode(count, forKey: .count)
        try container.encode(marks, forKey: .marks)
        try container.encode(upgrades, forKey: .upgrades)
        if let totals {
            try container.encode(
                Dictionary(uniqueKeysWithValues: totals.map { ($0.key.rawValue, $0.value) }), forKey: .totals)
        }
        try container.encode(sampledAt, forKey: .sampledAt)
    }

    /// Another version may have written it. What cannot be read is left out: nobody must fail to start for want of it.
    init(from decoder: any Decoder) throws {
        guard let container = try? decoder.container(keyedBy: CodingKeys.self) else { return }
        let names = (try? container.decode([String].self, forKey: .columns)) ?? []
        let places = columns.map { names.firstIndex(of: $0.rawValue) }
        let lines = (try? container.decode([String].self, forKey: .samples)) ?? []
        samples = lines.suffix(Self.capacity).compactMap { Sample($0, places) }
        count = max(samples.count, (try? container.decode(Int.self, forKey: .count)) ?? 0)
        marks = ((try? container.decode([Readable<Mark>].self, forKey: .marks)) ?? []).compactMap(\.value)
            .suffix(Self.maxMarks)
        upgrades = (try? container.decode(Int.self, forKey: .upgrades)) ?? 0
        sampledAt = (try? container.decode(UInt64.self, forKey: .sampledAt)) ?? 0
        guard let known = try? container.decode([String: Int].self, forKey: .totals) else { return }
        var totals: Totals = [:]
        for column in columns { totals[column] = known[column.rawValue] }
        self.totals = totals
    }

    /// A value that may be one of another version's.
    private struct Readable<Value: Decodable>: Decodable {
        let value: Value?

        init(from decoder: any Decoder) throws { value = try? Value(from: decoder) }
    }
}

extension History.Sample {
    fileprivate var text: String { "\(at) \(elapsed) " + values.map(String.init).joined(separator: " ") }

    /// - Parameter places: where each column stands; `nil`: whoever wrote it did not know it.
    fileprivate init?(_ text: String, _ places: [Int?]) {
        let words = text.split(separator: " ")
        guard words.count >= 2, let at = UInt64(words[0]), let elapsed = UInt64(words[1]) else { return nil }
        self.at = at
        self.elapsed = elapsed
        values = places.map { place in
            place.flatMap { $0 + 2 < words.count ? Int(words[$0 + 2]) : nil } ?? 0
        }
    }
}
