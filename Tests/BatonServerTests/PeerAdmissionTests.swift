import BatonConfiguration
import BatonCore
import Testing

@testable import BatonServer

struct PeerAdmissionTests {
    private let peer = IPAddress("192.0.2.1")!

    @Test("any number of strangers leaves a peer its place, and a few places are all they have")
    func strangers() {
        var admission = PeerAdmission()
        admission.expect([peer])
        let own = admission.admit(from: peer)
        var there: Set<PeerAdmission.Place> = []
        for number in 0..<1000 {
            let (place, hangUp) = admission.admit(from: .v4(0x0A00_0000 + UInt32(number)))
            there.insert(place)
            if let hangUp { #expect(there.remove(hangUp) != nil, "only a stranger gives way to one") }
            #expect(there.count <= PeerAdmission.maxStrangers)
        }
        #expect(own.hangUp == nil)
        #expect(admission.admit(from: peer).hangUp == own.place)
    }

    @Test("the latest connection of a source is the one that counts, and an IPv6 source is a /64")
    func sources() {
        var admission = PeerAdmission()
        let first = admission.admit(from: IPAddress("2001:db8::1")!).place
        let other = admission.admit(from: IPAddress("2001:db8:0:1::1")!)
        #expect(other.hangUp == nil)
        let second = admission.admit(from: IPAddress("2001:db8::2")!)
        #expect(second.hangUp == first)
        admission.leave(second.place)
        #expect(admission.admit(from: IPAddress("2001:db8::3")!).hangUp == nil)
    }

    @Test("a peer's IPv4 address is the same in its mapped form")
    func mapped() {
        var admission = PeerAdmission()
        admission.expect([peer])
        let first = admission.admit(from: peer.mapped).place
        #expect(admission.admit(from: peer).hangUp == first)
    }
}
