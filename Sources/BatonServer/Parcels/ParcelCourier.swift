internal import BatonConfiguration
internal import BatonNIO
internal import Dispatch
internal import Handoff
internal import Synchronization

/// Offers parcels to one receiver. What has gathered while an offer was under way leaves together as the next batch.
final class ParcelCourier: Sendable {
    /// How an offer ended.
    struct Delivery: Sendable {
        let handedOver: Int
        /// Parcels that are the caller's again.
        let returned: [DetachedConnection]
        /// Closed because nobody could tell who owns them.
        let lost: Int
        /// Why parcels came back.
        let reason: String?
        /// Those that were not handed over, by reason.
        let failures: [String: Int]
    }

    /// A batch beyond this would keep its first connection waiting for its last.
    private static let largestBatch = 64
    /// Nor may slow readers' bytes gather to more than a receiver takes or copies in good time. A connection with more goes
    /// alone.
    private static let mostBytes = 8 << 20
    /// How long a receiver may take to answer; the connections stand still meanwhile.
    private static let patience = Duration.seconds(3)

    private struct State: ~Copyable {
        var queue: [DetachedConnection] = []
        var isRunning = false
    }

    /// Where the receiver listens.
    let path: String
    private let state = Mutex(State())
    private let channel = Mutex<OwnerChannel?>(nil)
    private let queue: DispatchQueue
    private let delivered: @Sendable (Delivery) -> Void

    /// - Parameter delivered: called after each offer, on a thread of the courier's.
    init(path: String, delivered: @escaping @Sendable (Delivery) -> Void) {
        self.path = path
        self.delivered = delivered
        queue = DispatchQueue(label: "baton.courier")
    }

    /// How many wait or are under way.
    func send(_ parcels: [DetachedConnection]) {
        let mustStart = state.withLock { state in
            state.queue += parcels
            guard !state.isRunning, !state.queue.isEmpty else { return false }
            state.isRunning = true
            return true
        }
        if mustStart { queue.async { self.run() } }
    }

    /// Gives back what has not been offered yet.
    func recall() {
        let boxes = state.withLock { state in
            defer { state.queue = [] }
            return state.queue
        }
        guard !boxes.isEmpty else { return }
        delivered(
            Delivery(
                handedOver: 0, returned: boxes, lost: 0, reason: "the receiver does not answer",
                failures: ["unresponsive": boxes.count]))
    }

    private func run() {
        while true {
            let boxes = state.withLock { state -> [DetachedConnection] in
                let boxes = Self.batch(state.queue)
                state.queue.removeFirst(boxes.count)
                if boxes.isEmpty { state.isRunning = false }
                return boxes
            }
            guard !boxes.isEmpty else { return }
            delivered(offer(boxes))
        }
    }

    /// The first of `queue` that go together.
    private static func batch(_ queue: [DetachedConnection]) -> [DetachedConnection] {
        var bytes = 0
        return Array(
            queue.prefix(largestBatch).enumerated().prefix { index, box in
                bytes += box.pendingByteCount
                return index == 0 || bytes <= mostBytes
            }.map(\.element))
    }

    private func offer(_ boxes: [DetachedConnection]) -> Delivery {
        channel.withLock { channel in
            do throws(HandoffError) {
                try connect(&channel)
            } catch {
                return Delivery(
                    handedOver: 0, returned: boxes, lost: 0, reason: "\(error)",
                    failures: [error.code.rawValue.snakeCased: boxes.count])
            }
            var batch = ParcelBatch()
            for box in boxes {
                if let parcel = box.take() { batch.append(parcel) }
            }
            guard !batch.isEmpty, channel != nil else {
                return Delivery(handedOver: 0, returned: [], lost: 0, reason: nil, failures: [:])
            }
            let outcome = channel!.offer(batch, deadline: .after(Self.patience))
            if channel?.failure != nil { channel = nil }
            let settlement = outcome.settlement
            var reason = outcome.error.map { "\($0)" }
            for case .declined(let why) in settlement.fates { reason = "\(why)" }
            if reason == nil, settlement.handedOverCount < settlement.fates.count { reason = "\(settlement.ending)" }
            var returned: [DetachedConnection] = []
            outcome.returned.consumeEach { returned.append(DetachedConnection($0)) }
            return Delivery(
                handedOver: settlement.handedOverCount, returned: returned,
                lost: settlement.fates.count { $0 == .closed }, reason: reason, failures: settlement.failures)
        }
    }

    private func connect(_ channel: inout OwnerChannel?) throws(HandoffError) {
        // A receiver that has gone since the last offer is noticed before anything is offered to it.
        if channel != nil {
            do throws(HandoffError) {
                try channel!.awaitConfirmation(deadline: .after(Self.patience))
            } catch {
                channel = nil
            }
        }
        guard channel == nil else { return }
        channel = OwnerChannel(try .connect(to: path, deadline: .after(Self.patience)))
    }
}

extension Settlement {
    /// The parcels that were not handed over, by a label of the reason.
    fileprivate var failures: [String: Int] {
        var failures: [String: Int] = [:]
        for fate in fates {
            switch fate {
            case .handedOver: continue
            case .declined(let reason): failures.count("\(reason)".snakeCased)
            case .takenBack: failures.count("\(ending)".snakeCased)
            case .closed: failures.count("in_doubt")
            }
        }
        return failures
    }
}

extension String {
    /// `plainHTTP` and `no room` as labels of metrics are written: `plain_http`, `no_room`.
    var snakeCased: String {
        var text = ""
        var isCapital = true
        for byte in utf8 {
            let wasCapital = isCapital
            isCapital = UInt8(ascii: "A")...UInt8(ascii: "Z") ~= byte
            switch byte {
            // Of an abbreviation only the first letter begins a word.
            case _ where isCapital: text += (wasCapital ? "" : "_") + String(UnicodeScalar(byte | 0x20))
            case _ where byte.isLetterOrDigit: text += String(UnicodeScalar(byte))
            default: text += "_"
            }
        }
        return text
    }
}
