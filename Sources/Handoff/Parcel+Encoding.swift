package import BatonCore
internal import TLSRecords

extension Parcel {
    /// Everything but the sockets, in the form of an offer of one (`docs/handoff.md`), for a transport of its own. It holds
    /// the connection's secrets.
    ///
    /// - Throws: if its metadata or its size is beyond the limits.
    package borrowing func encoded() throws(ParcelError) -> ByteQueue {
        var writer = ParcelWriter()
        try writer.write(withoutSockets: self)
        return writer.finish()
    }

    /// Reads what `encoded` wrote, from bytes somebody else sent. One with a second snapshot is to get two sockets.
    package static func decode(_ bytes: UnsafeRawBufferPointer) throws(ParcelError) -> Parcel {
        var contents = try ParcelReader.read(bytes, descriptors: DescriptorSet(), comeLater: true)
        if let error = contents.errors.first ?? nil { throw error }
        guard contents.errors.count == 1, let parcel = contents.batch.removeLast() else { throw .wrongParcelCount }
        return parcel
    }
}
