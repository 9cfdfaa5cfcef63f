/// How an offer ended, with the parcels that are the caller's again.
@frozen
public struct OfferOutcome: ~Copyable, Sendable {
    /// What became of each parcel.
    public let settlement: Settlement

    /// The parcels that were not handed over, in the order of the offer: those whose fate `isReturned`. Resume them.
    public var returned: ParcelBatch

    /// What stood in the way, if it was more than an answer or a time limit.
    public let error: HandoffError?
}
