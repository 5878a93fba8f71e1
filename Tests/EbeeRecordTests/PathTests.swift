import CEvents
import EbeeTestSupport
import Testing

@testable import EbeeRecord

@Suite struct PathTests {
    @Test(arguments: [
        ("", "/"), ("x\0", "/x"), ("x\0app\0srv\0", "/srv/app/x"), ("a b\0\u{e9}\0", "/\u{e9}/a b"),
        ("..\0a\0", "/a/.."),
    ])
    func components(given: String, path: String) {
        let bytes = Array(given.utf8)
        #expect(unsafe text(Path.absolute(bytes.span.bytes)) == path)
    }

    @Test(arguments: [
        ("/srv/app", "x", "/srv/app/x"), ("/srv/app", "a/b", "/srv/app/a/b"), ("/", "x", "/x"), ("/", "/x", "/x"),
        ("/srv/app", ".", "/srv/app"), ("/srv/app", "./x", "/srv/app/x"), ("/srv/app", "x/.", "/srv/app/x"),
        ("/srv/app", "..", "/srv"), ("/srv/app", "../x", "/srv/x"), ("/srv/app", "a/../x", "/srv/app/x"),
        ("/srv/app", "../../x", "/x"), ("/srv/app", "../../../../x", "/x"), ("/srv", "..", "/"), ("/", "..", "/"),
        ("/", "../..", "/"), ("/", "", "/"), ("/srv", "", "/srv"), ("/srv/app", "d/", "/srv/app/d"),
        ("/srv/app", "d//", "/srv/app/d"), ("/srv/app", "a//b", "/srv/app/a/b"), ("/", "//srv///x/", "/srv/x"),
        ("/srv/app", "...", "/srv/app/..."), ("/srv/app", ".a", "/srv/app/.a"), ("/srv/app", "..a", "/srv/app/..a"),
        ("/srv/app", "a.", "/srv/app/a."), ("/srv/app", "a\nb", "/srv/app/a\nb"),
    ])
    func names(base: String, name: String, path: String) {
        let base = [UInt8](path: base)
        let name = Array(name.utf8)
        #expect(unsafe text(Path.absolute(base: base.span.bytes, name: name.span.bytes)) == path)
    }

    @Test(arguments: [EBEE_NAME_UNREAD, EBEE_BASE_UNKNOWN])
    func unknownPath(flag: ebee_delete_flag) throws {
        let bytes = DeleteFields { $0.flags = flag.rawValue }.bytes
        #expect(unsafe try decodeDeletion(bytes).path(in: bytes.span.bytes) == nil)
    }

    @Test func sourceIsOfARenameOnly() throws {
        var fields = DeleteFields { $0.sourceName = Array("new".utf8) }
        #expect(unsafe try decodeDeletion(fields.bytes).source(in: fields.bytes.span.bytes) == nil)
        fields.how = EBEE_RENAME.rawValue
        #expect(unsafe try decodeDeletion(fields.bytes).source(in: fields.bytes.span.bytes).map { text($0) } == "/new")
        for flag in [EBEE_SOURCE_UNREAD, EBEE_SOURCE_BASE_UNKNOWN] {
            fields.flags = flag.rawValue
            #expect(unsafe try decodeDeletion(fields.bytes).source(in: fields.bytes.span.bytes) == nil)
        }
    }
}
