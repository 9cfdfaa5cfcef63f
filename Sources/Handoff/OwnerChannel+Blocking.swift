public import BatonCore
internal import Libc

extension OwnerChannel {
    /// Offers `batch` and waits until every parcel has met its fate, at most until `deadline`.
    ///
    /// Returns as soon as the commit has left. Then the receiver is the owner, and nothing of the connection remains
    /// here: descriptors are closed, secrets zeroed. In every other case the parcels come back in the outcome.
    ///
    /// - Parameters:
    ///   - batch: 1 to 16,384 parcels, each suspended and silent.
    ///   - deadline: when to take the parcels back.
    public mutating func offer(_ batch: consuming ParcelBatch, deadline: Deadline) -> OfferOutcome {
        guard !batch.isEmpty else {
            return OfferOutcome(
                settlement: Settlement(ending: .declined, fates: []), returned: batch,
                error: HandoffError(.protocolViolation, "an offer has at least one parcel; this batch is empty"))
        }
        begin(batch, deadline: deadline)
        while true {
            if let outcome = advanceSending() { return outcome }
            if mayWaitInReceive(until: deadline) {
                if let outcome = advanceReceiving(waits: true) { return outcome }
                continue
            }
            let isReady: Bool
            do throws(HandoffError) {
                isReady = try wait(for: interest, on: descriptor, until: deadline)
            } catch {
                isReady = false
            }
            if isReady {
                if let outcome = advanceReceiving() { return outcome }
            } else if let outcome = expire() {
                return outcome
            }
        }
    }

    /// Waits until the receiver has introduced itself, so that `receiver` is known.
    ///
    /// - Throws: `timedOut`, or why the channel failed.
    public mutating func awaitHello(deadline: Deadline) throws(HandoffError) {
        try drive(until: deadline) { $0.receiver != nil }
    }

    /// Waits until the receiver has confirmed every commit.
    ///
    /// - Throws: `timedOut`, or why the channel failed. The connections are the receiver's all the same.
    public mutating func awaitConfirmation(deadline: Deadline) throws(HandoffError) {
        try drive(until: deadline) { $0.unconfirmedCount == 0 }
    }

    private mutating func drive(
        until deadline: Deadline, _ isDone: (borrowing OwnerChannel) -> Bool
    ) throws(HandoffError) {
        precondition(!isOffering, "an offer is under way on this channel")
        while !isDone(self) {
            if let failure { throw failure }
            if mayWaitInReceive(until: deadline) {
                _ = advanceReceiving(waits: true)
                continue
            }
            guard try wait(for: Int16(POLLIN), on: descriptor, until: deadline) else {
                throw HandoffError(.timedOut, "the receiver did not answer in time; it may be busy or stopped")
            }
            _ = advanceReceiving()
        }
    }
}
