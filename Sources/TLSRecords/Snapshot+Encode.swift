public import BatonCore

extension Snapshot {
    /// The format version this build writes.
    public static let version: UInt8 = 1
    /// The format versions this build reads.
    public static let readableVersions: ClosedRange<UInt8> = 1...1
    /// The most bytes a snapshot may take: 64 MiB. A connection with more waiting is refused by every reader, so its owner
    /// keeps it.
    public static let longest = 64 << 20

    static let magic: StaticString = "BTNc"

    /// The snapshot written down, unsealed. It holds every secret of the connection: seal it (`Sealer`) before it leaves
    /// the process. The snapshot is consumed: what was written down is now the connection, and must be resumed at most
    /// once.
    public consuming func encoded() -> SecretBytes {
        var output = ByteQueue()
        encode(to: &output)
        return output.withBytes { SecretBytes(copying: $0.bytes) }
    }

    /// Appends the snapshot, unsealed, for an owner that may take it back. Whoever calls this keeps the rule that one of
    /// the two is resumed.
    package borrowing func encode(to output: inout ByteQueue) {
        Snapshot.magic.withUTF8Buffer { output.append(UnsafeRawBufferPointer($0)) }
        withUnsafeBytes(of: Snapshot.version) { output.append($0) }
        encodeKeys(to: &output)
        encodeInfo(to: &output)
        encodeProgress(to: &output)
        encodeCertificates(to: &output)
    }

    // Fields whose value is the usual one are left out: an idle connection is small, and there is one way to write each.

    private borrowing func encodeKeys(to output: inout ByteQueue) {
        output.appendField(SnapshotField.role.rawValue, info.role.rawValue)
        output.appendField(SnapshotField.suite.rawValue, info.suite.rawValue)
        output.appendField(SnapshotField.readSecret.rawValue, read.secret)
        if read.sequence != 0 { output.appendField(SnapshotField.readSequence.rawValue, read.sequence) }
        output.appendField(SnapshotField.writeSecret.rawValue, write.secret)
        if write.sequence != 0 { output.appendField(SnapshotField.writeSequence.rawValue, write.sequence) }
        if info.suite.usesExplicitNonce {
            output.appendField(SnapshotField.writeExplicitNonce.rawValue, write.explicitNonce)
        }
        if write.blocks != 0 { output.appendField(SnapshotField.writeBlocks.rawValue, write.blocks) }
        if exporter != nil { output.appendField(SnapshotField.exporter.rawValue, exporter!) }
        if resumption != nil { output.appendField(SnapshotField.resumption.rawValue, resumption!) }
    }

    private borrowing func encodeInfo(to output: inout ByteQueue) {
        if let name = info.serverName { output.appendField(SnapshotField.serverName.rawValue, name) }
        if let name = info.applicationProtocol { output.appendField(SnapshotField.applicationProtocol.rawValue, name) }
        if let certificate = info.peerCertificate {
            output.appendField(SnapshotField.peerCertificate.rawValue, certificate.sha256)
            output.appendField(SnapshotField.peerSubject.rawValue, certificate.subject)
        }
        if let result = info.verifyResult { output.appendField(SnapshotField.verifyResult.rawValue, result) }
        if !flags.isEmpty { output.appendField(SnapshotField.flags.rawValue, flags.rawValue) }
        if let name = info.ticketKeyName { output.appendField(SnapshotField.ticketKeyName.rawValue, name) }
        if limits.sending != RecordLimits.largest(info.version)
            || limits.receiving != RecordLimits.largest(info.version)
        {
            output.appendField(
                SnapshotField.sizeLimits.rawValue, UInt32(limits.sending) << 16 | UInt32(limits.receiving))
        }
        if let blocks = limits.blocksPerKey { output.appendField(SnapshotField.blocksPerKey.rawValue, blocks) }
    }

    private borrowing func encodeProgress(to output: inout ByteQueue) {
        let counters = progress.counters
        if counters.inARow != Counters().inARow {
            output.appendField(SnapshotField.counters.rawValue, counters.inARow)
        }
        if let failure = progress.failure {
            let alert: [UInt8] = failure.alert.map { [$0.rawValue] } ?? []
            output.appendField(SnapshotField.failure.rawValue, [failure.code.rawValue] + alert)
        }
        let unread = progress.unread
        progress.inbound.withBytes { bytes in
            let plaintext = UnsafeRawBufferPointer(rebasing: bytes[unread.offset..<unread.offset + unread.count])
            let ciphertext = UnsafeRawBufferPointer(rebasing: bytes[unread.recordLength...])
            if !plaintext.isEmpty { output.appendField(SnapshotField.unread.rawValue, plaintext) }
            if !ciphertext.isEmpty { output.appendField(SnapshotField.inbound.rawValue, ciphertext) }
        }
        progress.handshake.withBytes {
            if !$0.isEmpty { output.appendField(SnapshotField.handshake.rawValue, $0) }
        }
        progress.outgoing.withBytes {
            if !$0.isEmpty { output.appendField(SnapshotField.outgoing.rawValue, $0) }
        }
        if counters.paidKeyUpdates > 0 {
            output.appendField(SnapshotField.paidKeyUpdates.rawValue, counters.paidKeyUpdates)
        }
    }

    /// What a reader may skip, behind all it may not.
    private borrowing func encodeCertificates(to output: inout ByteQueue) {
        guard let certificate = info.peerCertificate else { return }
        if !certificate.alternativeNames.isEmpty {
            output.appendField(
                SnapshotField.peerNames.rawValue, AlternativeName.encode(certificate.alternativeNames))
        }
        if !certificate.chain.isEmpty {
            output.appendField(SnapshotField.peerChain.rawValue, PeerCertificate.encode(certificate.chain))
        }
        if !certificate.verifiedChain.isEmpty {
            output.appendField(SnapshotField.verifiedChain.rawValue, PeerCertificate.encode(certificate.verifiedChain))
        }
    }

    private var flags: SnapshotFlags {
        var flags: SnapshotFlags = []
        if info.isResumed { flags.insert(.resumed) }
        if info.usesExtendedMasterSecret { flags.insert(.extendedMasterSecret) }
        if progress.isReadClosed { flags.insert(.readClosed) }
        if progress.isWriteClosed { flags.insert(.writeClosed) }
        if progress.owesKeyUpdate { flags.insert(.owesKeyUpdate) }
        return flags
    }
}
