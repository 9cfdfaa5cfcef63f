internal import BatonCore

extension ReceiverChannel {
    /// Waits until this process has become the owner of connections, at most until `deadline`.
    ///
    /// Offers the owner takes back in the meantime are let go without a word.
    ///
    /// - Parameters:
    ///   - deadline: when to stop waiting. An accepted offer stays accepted: call again.
    ///   - decide: called once for each parcel of an offer that can be read.
    /// - Returns: the connections, or `nil` when the time was over.
    /// - Throws: `channelEnded` when nothing more will come, or why the channel failed.
    public mutating func receive(
        deadline limit: Deadline, decide: Decision = { _ in .accept }
    ) throws(HandoffError) -> Received? {
        while true {
            let waits = mayWaitInReceive(until: limit)
            switch try step(decide, waits: waits) {
            case .received(let received): return received
            case .discarded: continue
            case .ended:
                throw HandoffError(.channelEnded, "the owner closed the channel or terminated; nothing more will come")
            case nil: if waits { continue }
            }
            let nearest = min(deadline ?? limit, limit)
            if try !wait(for: interest, on: descriptor, until: nearest), limit.hasPassed { return nil }
        }
    }
}
