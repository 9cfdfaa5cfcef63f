import Testing

@testable import TLSHandshake

@Suite("The end of a certificate")
struct CertificateTermTests {
    private static let day: Int64 = 86_400

    @Test(
        "it is warned of 30 and 7 days before, of a short life at a third and a tenth of it",
        arguments: [
            (398, 31, .good), (398, 30, .month), (398, 8, .month), (398, 7, .week), (398, 0, .week),
            (398, -1, .expired),
            (90, 30, .month), (47, 16, .good), (47, 15, .month), (47, 4, .week), (6, 3, .good), (6, 2, .month),
            (398, 399, .notYet),
        ] as [(life: Int64, left: Int64, stage: CertificateTerm.Stage)])
    func stage(life: Int64, left: Int64, stage: CertificateTerm.Stage) {
        let term = CertificateTerm(validity: 0...life * Self.day)
        #expect(term.stage(at: (life - left) * Self.day) == stage)
        #expect((term.notice(at: (life - left) * Self.day) == nil) == (stage == .good))
    }

    @Test("dates that cannot be, and those of certificates without an end, break nothing")
    func extremes() {
        for validity in [Int64.min...Int64.max, Int64.min...Int64.min, Int64.max...Int64.max] {
            for now in [Int64.min, 0, Int64.max] { _ = CertificateTerm(validity: validity).notice(at: now) }
        }
        #expect(CertificateTerm.text(.max) == "")
        #expect(CertificateTerm.text(0) == "1970-01-01T00:00:00Z")
    }
}
