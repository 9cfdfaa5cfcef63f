extension Duration {
    /// Whole nanoseconds; 0 if it is negative, and as many as there can be if it is longer.
    package var nanoseconds: UInt64 {
        let (seconds, attoseconds) = components
        guard seconds >= 0, attoseconds >= 0 else { return 0 }
        let (whole, overflow) = UInt64(seconds).multipliedReportingOverflow(by: 1_000_000_000)
        let (sum, tooLong) = whole.addingReportingOverflow(UInt64(attoseconds / 1_000_000_000))
        return overflow || tooLong ? .max : sum
    }
}
