extension Snapshot {
    /// Reads an unsealed snapshot.
    ///
    /// Strict: an unknown field that may not be ignored, a repeated or missing one, trailing bytes, a wrong length and an
    /// impossible value are errors. What was read before an error is zeroed.
    ///
    /// - Throws: `SnapshotError`.
    public init(decoding bytes: RawSpan) throws(SnapshotError) {
        let snapshot = try bytes.withUnsafeBytes { (bytes) throws(SnapshotError) in try SnapshotParts.decode(bytes) }
        self = snapshot
    }

    /// The first field whose value is impossible beside the others. One check for every way a snapshot comes to be.
    var firstImpossibility: SnapshotField? {
        let suite = info.suite
        if read.secret.count != DirectionState.secretLength(suite) { return .readSecret }
        if write.secret.count != DirectionState.secretLength(suite) { return .writeSecret }
        if read.sequence > RecordProtection.highestCount { return .readSequence }
        if write.sequence > RecordProtection.highestCount { return .writeSequence }
        if write.blocks > RecordProtection.highestCount { return .writeBlocks }
        if !suite.usesExplicitNonce && write.explicitNonce != 0 { return .writeExplicitNonce }
        if exporter.isWrong(length: info.version == .tls13 ? suite.hash.length : TLS12Exporter.length) {
            return .exporter
        }
        if resumption.isWrong(length: suite.hash.length) { return .resumption }
        if let name = info.serverName, !(1...255).contains(name.utf8.count) { return .serverName }
        if let name = info.applicationProtocol, !(1...255).contains(name.utf8.count) { return .applicationProtocol }
        if let certificate = info.peerCertificate {
            if certificate.sha256.count != 32 { return .peerCertificate }
            if certificate.subject.utf8.count > 1024 { return .peerSubject }
            if !AlternativeName.isWritable(certificate.alternativeNames) { return .peerNames }
            if !PeerCertificate.isWritable(certificate.chain) { return .peerChain }
            if !PeerCertificate.isWritable(certificate.verifiedChain) { return .verifiedChain }
        }
        if let name = info.ticketKeyName, name.count != 16 { return .ticketKeyName }
        if !limits.areValid(info.version) { return .sizeLimits }
        if limits.blocksPerKey == 0 { return .blocksPerKey }
        return progress.firstImpossibility(info.version)
    }
}

extension Progress {
    func firstImpossibility(_ version: TLSVersion) -> SnapshotField? {
        let nothingToRead = unread.count == 0 && inbound.isEmpty && handshake.isEmpty
        if owesKeyUpdate && (version == .tls12 || isWriteClosed) { return .flags }
        if isReadClosed && !nothingToRead { return .inbound }
        if failure != nil && !(nothingToRead && isWriteClosed) { return .failure }
        if unread.count > RecordLimits.largest(.tls12) { return .unread }
        if handshake.count > HandshakeMessage.headerLength + HandshakeMessage.longest + RecordLimits.largest(.tls12) {
            return .handshake
        }
        if !counters.areWithinLimits { return .counters }
        if counters.paidKeyUpdates > 0 && version == .tls12 { return .paidKeyUpdates }
        return nil
    }
}
