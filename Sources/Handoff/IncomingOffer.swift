internal import BatonCore
internal import TLSRecords

/// An offer as it arrives: the pieces, then the parcels, which this process holds but does not own.
struct IncomingOffer: ~Copyable {
    /// What the OFFER message announced.
    struct Announcement: Hashable {
        let parcels: Int
        let descriptors: Int
        let bytes: Int

        /// Nil if no offer can be like this.
        static func read(_ reader: inout WireReader) -> Announcement? {
            guard let parcels = reader.uint32(), let descriptors = reader.uint32(), let bytes = reader.uint64(),
                parcels >= 1, parcels <= HandoffProtocol.maxParcels, bytes >= 1, bytes <= UInt64(Int32.max)
            else { return nil }
            return Announcement(parcels: Int(parcels), descriptors: Int(descriptors), bytes: Int(bytes))
        }
    }

    /// What came of opening an offer.
    enum Readability {
        /// For each parcel, why it has to be declined, if so.
        case readable([DeclineReason?])
        case unreadable(DeclineReason)
    }

    let id: TransferID
    let announced: Announcement
    var transfer: ReceiverTransfer
    var batch = ParcelBatch()
    /// Whether every message so far was sent by the very process whose death the pidfd shows.
    var isAttested = true
    /// Whether the application has been asked.
    var isDecided = false
    private var sealed: [UInt8] = []
    private var descriptors = DescriptorSet()

    init(id: TransferID, announced: Announcement) {
        self.id = id
        self.announced = announced
        transfer = ReceiverTransfer(count: announced.parcels)
    }

    /// Where the next piece begins.
    var gatheredCount: Int { sealed.count }

    /// Takes a piece; what it is told to keep is bounded by the announcement. False if it is more than was announced,
    /// or nothing.
    mutating func gather(_ piece: UnsafeRawBufferPointer, _ arrived: consuming DescriptorSet) -> Bool {
        guard !piece.isEmpty || !arrived.isEmpty else { return false }
        guard piece.count <= announced.bytes - sealed.count,
            arrived.count <= announced.descriptors - descriptors.count
        else { return false }
        // Memory follows what arrived, not what was announced.
        sealed.append(contentsOf: piece)
        descriptors.append(arrived)
        return true
    }

    var isComplete: Bool { sealed.count == announced.bytes && descriptors.count == announced.descriptors }

    /// Opens the seal and reads the parcels.
    mutating func open(with unsealer: inout Unsealer, now: UInt64) -> Readability {
        let sealed = self.sealed
        self.sealed = []
        var descriptors = DescriptorSet()
        swap(&descriptors, &self.descriptors)
        do throws(SealError) {
            let opened = try unsealer.open(sealed.span.bytes, now: now)
            guard opened.transfer == id else { return .unreadable(.sealRefused) }
            return read(opened.bytes, descriptors)
        } catch {
            return .unreadable(error == .expired ? .expired : .sealRefused)
        }
    }

    private mutating func read(
        _ bytes: borrowing SecretBytes, _ descriptors: consuming DescriptorSet
    ) -> Readability {
        do throws(ParcelError) {
            // A closure cannot consume what it captures.
            var descriptors = Optional(descriptors)
            var contents = try bytes.withUnsafeBytes { (bytes) throws(ParcelError) in
                try ParcelReader.read(bytes, descriptors: descriptors.take() ?? DescriptorSet())
            }
            guard contents.errors.count == announced.parcels else { return .unreadable(.malformed) }
            swap(&batch, &contents.batch)
            return .readable(contents.errors.map { $0?.declineReason })
        } catch {
            return .unreadable(error.declineReason)
        }
    }

    /// The parcels at `accepted`, which are this process's now.
    mutating func take(_ accepted: [Int]) -> ParcelBatch {
        var taken = ParcelBatch()
        swap(&taken, &batch)
        taken.keep(accepted)
        return consume taken
    }

    /// Lets everything go: descriptors are closed, and nothing is said on them; secrets are zeroed.
    mutating func letGo() {
        batch = ParcelBatch()
        descriptors = DescriptorSet()
        sealed = []
    }

    /// Tells the transfer which sockets stand where they stood at the offer.
    mutating func proveUnchanged() -> ReceiverTransfer.Action {
        var unchanged: [Int] = []
        for index in 0..<batch.count where batch.withParcel(at: index, { $0.sockets.standsStill() }) {
            unchanged.append(index)
        }
        return transfer.proved(unchanged: unchanged)
    }
}
