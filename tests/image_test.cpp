// Functions travel as image + offset: what can be sent, what is refused, and that nothing strange is ever called. The
// programs and libraries are those of tests/programs; the ctests image.<variant>.<method> run such programs as they are.
#include <gtest/gtest.h>
#include <spork/spork.h>

#include <algorithm>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include "budget.h"
#include "harness/basics.h"
#include "harness/images.h"
#include "image.h"

namespace {

namespace fs = std::filesystem;

bool says(const char *pattern) { return basics_like(spork_error(), pattern); }
std::string utf8(const fs::path &path) { return path.u8string(); }
fs::path beside(const char *name) { return fs::u8path(harness_self()).parent_path() / name; }
uintptr_t address_of(spork_target target) { return reinterpret_cast<uintptr_t>(target); }

fs::path program(const char *name)
{
    fs::path path = beside(name);
    path += fs::u8path(harness_self()).extension(); // .exe
    return path;
}

std::vector<spork_start_method> methods()
{
    std::vector<spork_start_method> all;
    for (spork_start_method method : {SPORK_FORK, SPORK_SPAWN, SPORK_FORKSERVER})
        if (spork_set_start_method(method) == SPORK_OK) all.push_back(method);
    spork_set_start_method(SPORK_DEFAULT);
    return all;
}

const char *name_of(spork_start_method method)
{
    return method == SPORK_FORK ? "fork" : method == SPORK_SPAWN ? "spawn" : "forkserver";
}

// Starts it; its exit code, or minus a thousand and the status.
int exit_of(spork_target target, spork_start_method method)
{
    spork_process_options options{};
    options.target = target;
    options.method = method;
    spork_process *p = spork_process_new_with(&options);
    spork_status status = p != nullptr ? spork_process_start(p) : spork_last_status();
    int code = -1000 - static_cast<int>(status);
    if (status == SPORK_OK) {
        EXPECT_EQ(SPORK_OK, spork_process_join(p, kWatchdogMs));
        code = spork_process_exitcode(p);
    }
    spork_process_free(p);
    return code;
}
int refused(spork_status status) { return -1000 - static_cast<int>(status); }

// A folder of its own, with a name that takes some reading.
class Folder {
  public:
    explicit Folder(const char *name = "spork images \xc3\xa4\xe2\x82\xac ")
    {
        path = fs::temp_directory_path() / fs::u8path(name + std::to_string(spork_getpid()));
        fs::remove_all(path);
        fs::create_directories(path);
    }
    ~Folder()
    {
        std::error_code ignored; // Windows keeps what is loaded
        fs::remove_all(path, ignored);
    }
    fs::path copy(const fs::path &from, const char *name)
    {
        fs::path to = path / fs::u8path(name);
        fs::copy_file(from, to, fs::copy_options::overwrite_existing);
        return to;
    }
    fs::path path;
};

int call(spork_target target)
{
    spork_args none = SPORK_NO_ARGS;
    return target(&none);
}

// A loaded library, unloaded at the end.
struct Library {
    explicit Library(const fs::path &path) : handle(images_load(utf8(path).c_str()))
    {
        EXPECT_NE(nullptr, handle) << path;
        if (handle != nullptr) target = images_target_of(handle);
        EXPECT_NE(nullptr, target);
    }
    ~Library() { unload(); }
    Library(const Library &) = delete;
    Library &operator=(const Library &) = delete;
    void unload()
    {
        if (handle != nullptr) images_unload(handle);
        handle = nullptr;
    }
    int number() const { return call(target); }
    void *handle;
    spork_target target = nullptr;
};

// ---- there and back --------------------------------------------------------------------------------------------------

void expect_round_trip(uintptr_t address, bool is_program)
{
    spork__function function;
    uintptr_t found = 0;
    ASSERT_EQ(SPORK_OK, spork__function_check(address)) << spork_error();
    ASSERT_EQ(SPORK_OK, spork__function_export(address, &function)) << spork_error();
    EXPECT_EQ(is_program, function.is_program != 0);
    EXPECT_STRNE("", function.path);
    ASSERT_EQ(SPORK_OK, spork__function_import(&function, &found)) << spork_error();
    EXPECT_EQ(address, found);
}

int function_of_the_test(const spork_args *) { return 't'; }

TEST(Function, OfTheProgramComesBack)
{
    expect_round_trip(address_of(images_function), true);
    expect_round_trip(address_of(function_of_the_test), true);
    expect_round_trip(reinterpret_cast<uintptr_t>(&spork_process_start), true);
}

TEST(Function, StaticOneComesBack) { expect_round_trip(address_of(images_static_function()), true); }

TEST(Function, OfALibraryComesBack)
{
    Library plugin(beside("image_plugin.plugin"));
    expect_round_trip(address_of(plugin.target), false);
}

TEST(Function, TellsItsLibrarysWholePath)
{
    Folder folder;
    fs::path path = folder.copy(beside("image_plugin.plugin"), "a b.plugin");
    Library plugin(path);
    spork__function function;
    ASSERT_EQ(SPORK_OK, spork__function_export(address_of(plugin.target), &function));
    EXPECT_TRUE(fs::equivalent(path, fs::u8path(function.path))) << function.path;
    EXPECT_TRUE(fs::u8path(function.path).is_absolute()) << function.path;
}

TEST(Function, RunsInAChildUnderEveryMethod)
{
    for (spork_start_method method : methods()) {
        EXPECT_EQ('f', exit_of(images_function, method)) << name_of(method) << ": " << spork_error();
        EXPECT_EQ('s', exit_of(images_static_function(), method)) << name_of(method) << ": " << spork_error();
        EXPECT_EQ('t', exit_of(function_of_the_test, method)) << name_of(method) << ": " << spork_error();
    }
}

TEST(Function, OfALibraryThatTheChildHasNotLoadedRunsThere)
{
    for (const char *name : {"image_plugin.plugin", "image_plugin_hashed.plugin"}) {
        Library plugin(beside(name));
        for (spork_start_method method : methods())
            EXPECT_EQ(plugin.number(), exit_of(plugin.target, method))
                << name << " " << name_of(method) << ": " << spork_error();
    }
}

TEST(Function, OfALibraryInAFolderWithSpacesAndForeignLettersRunsThere)
{
    Folder folder;
    Library plugin(folder.copy(beside("image_plugin.plugin"), "a b \xc3\xbc.plugin"));
    for (spork_start_method method : methods())
        EXPECT_EQ(42, exit_of(plugin.target, method)) << name_of(method) << ": " << spork_error();
}

TEST(Function, OfALibraryThatWasLoadedByARelativePathRunsThere)
{
    Folder folder;
    folder.copy(beside("image_plugin.plugin"), "relative.plugin");
    fs::path before = fs::current_path();
    fs::current_path(folder.path);
    Library plugin(fs::u8path("./relative.plugin"));
    spork__function function;
    EXPECT_EQ(SPORK_OK, spork__function_export(address_of(plugin.target), &function)) << spork_error();
    EXPECT_TRUE(fs::u8path(function.path).is_absolute()) << function.path;
    for (spork_start_method method : methods())
        EXPECT_EQ(42, exit_of(plugin.target, method)) << name_of(method) << ": " << spork_error();
    fs::current_path(before); // now the system may not be able to tell the library's place: the child says so, if not
    for (spork_start_method method : methods())
        EXPECT_TRUE(exit_of(plugin.target, method) == 42 || says("relative.plugin cannot be opened in the child"))
            << spork_error();
}

TEST(Function, OfTwoBuildsOfALibraryAtOnceIsNotMixedUp)
{
    Library one(beside("image_plugin.plugin")), two(beside("image_plugin_rebuilt.plugin"));
    Library three(beside("image_plugin_hashed.plugin")), four(beside("image_plugin_hashed_rebuilt.plugin"));
    for (spork_start_method method : methods()) {
        EXPECT_EQ(42, exit_of(one.target, method)) << spork_error();
        EXPECT_EQ(43, exit_of(two.target, method)) << spork_error();
        EXPECT_EQ(44, exit_of(three.target, method)) << spork_error();
        EXPECT_EQ(45, exit_of(four.target, method)) << spork_error();
    }
}

// ---- what is no function ---------------------------------------------------------------------------------------------

void expect_no_function(uintptr_t address, const char *sentence)
{
    spork__function function;
    EXPECT_EQ(SPORK_INVALID, spork__function_export(address, &function));
    EXPECT_TRUE(says(sentence)) << spork_error();
    EXPECT_EQ(SPORK_INVALID, spork__function_check(address));
    EXPECT_TRUE(says(sentence)) << spork_error();
    spork_target target;
    std::memcpy(&target, &address, sizeof target);
    for (spork_start_method method : methods()) {
        EXPECT_EQ(refused(SPORK_INVALID), exit_of(target, method)) << name_of(method);
        EXPECT_TRUE(says(address == 0 ? "target" : sentence)) << name_of(method) << ": " << spork_error();
    }
}

TEST(NoFunction, NullIsRefused) { expect_no_function(0, "the target is NULL"); }

TEST(NoFunction, DataIsRefused)
{
    expect_no_function(reinterpret_cast<uintptr_t>(images_constant()), "not in the code");
    expect_no_function(reinterpret_cast<uintptr_t>(images_variable()), "not in the code");
}

TEST(NoFunction, HeapAndStackAreRefused)
{
    std::vector<char> heap(1000);
    int stack = 0;
    expect_no_function(reinterpret_cast<uintptr_t>(heap.data()), "not in the code");
    expect_no_function(reinterpret_cast<uintptr_t>(&stack), "not in the code");
}

TEST(NoFunction, NonsenseIsRefused)
{
    expect_no_function(1, "not in the code");
    expect_no_function(UINTPTR_MAX, "not in the code");
    expect_no_function(UINTPTR_MAX / 2, "not in the code");
}

TEST(NoFunction, TheHeaderOfALibraryIsRefused)
{
    Library plugin(beside("image_plugin.plugin"));
    spork__function function;
    ASSERT_EQ(SPORK_OK, spork__function_export(address_of(plugin.target), &function));
    expect_no_function(address_of(plugin.target) - static_cast<uintptr_t>(function.offset), "not in the code");
}

TEST(NoFunction, AnUnloadedLibrarysIsRefused)
{
    Folder folder; // a copy, so that nobody else holds it
    Library plugin(folder.copy(beside("image_plugin.plugin"), "unloaded.plugin"));
    spork__function function;
    ASSERT_EQ(SPORK_OK, spork__function_export(address_of(plugin.target), &function));
    plugin.unload();
    if (spork__function_check(address_of(plugin.target)) == SPORK_OK)
        GTEST_SKIP() << "the system keeps unloaded libraries";
    expect_no_function(address_of(plugin.target), "was its library unloaded");
}

// ---- what came damaged -----------------------------------------------------------------------------------------------

class Import : public testing::Test {
  protected:
    spork__function function; // of the program; and of a library
    spork__function plugins;

    void SetUp() override
    {
        ASSERT_EQ(SPORK_OK, spork__function_export(address_of(images_function), &function));
        Library plugin(beside("image_plugin.plugin"));
        ASSERT_EQ(SPORK_OK, spork__function_export(address_of(plugin.target), &plugins));
    }
    // The status, and that nothing was found.
    spork_status import(const spork__function &f)
    {
        uintptr_t found = 1;
        spork_status status = spork__function_import(&f, &found);
        EXPECT_TRUE(status == SPORK_OK || found == 1);
        return status;
    }
};

TEST_F(Import, LoadsTheLibraryIfNeedBe)
{
    uintptr_t found = 0;
    ASSERT_EQ(SPORK_OK, spork__function_import(&plugins, &found)) << spork_error();
    spork_target target;
    std::memcpy(&target, &found, sizeof target);
    EXPECT_EQ(42, call(target));
}

TEST_F(Import, RefusesAnOffsetThatIsNotInCode)
{
    for (spork__function f : {function, plugins}) {
        for (uint64_t offset : {UINT64_MAX, UINT64_MAX - f.offset, UINT64_C(1) << 40, UINT64_C(0)}) {
            f.offset = offset;
            EXPECT_EQ(SPORK_BAD_MESSAGE, import(f)) << offset;
            EXPECT_TRUE(says("offset 0x* is not in the code of ")) << spork_error();
        }
    }
}

TEST_F(Import, RefusesAnOffsetIntoAnotherImagesCode)
{
    Library plugin(beside("image_plugin.plugin"));
    function.offset += address_of(plugin.target) - address_of(images_function);
    EXPECT_EQ(SPORK_BAD_MESSAGE, import(function));
    EXPECT_TRUE(says("is not in the code of ")) << spork_error();
}

TEST_F(Import, RefusesAnOffsetIntoItsOwnData)
{
    function.offset += reinterpret_cast<uintptr_t>(images_constant()) - address_of(images_function);
    EXPECT_EQ(SPORK_BAD_MESSAGE, import(function));
}

TEST_F(Import, RefusesAnotherBuildOfTheProgram)
{
    for (size_t i = 0; i < SPORK__IDENTITY_SIZE; i++) {
        spork__function f = function;
        f.identity[i] ^= 1;
        EXPECT_EQ(SPORK_NOT_FOUND, import(f)) << i;
        EXPECT_TRUE(says("belongs to the program * another build")) << spork_error();
    }
}

TEST_F(Import, RefusesAnotherBuildOfALibrary)
{
    for (size_t i = 0; i < SPORK__IDENTITY_SIZE; i++) {
        spork__function f = plugins;
        f.identity[i] ^= 1;
        EXPECT_EQ(SPORK_NOT_FOUND, import(f)) << i;
        EXPECT_TRUE(says("image_plugin.plugin was changed on disk")) << spork_error();
    }
}

TEST_F(Import, RefusesAProgramSentAsALibraryAndTheOtherWayRound)
{
    function.is_program = 0;
    EXPECT_NE(SPORK_OK, import(function));
    EXPECT_STRNE("", spork_error());
    plugins.is_program = 1;
    EXPECT_EQ(SPORK_NOT_FOUND, import(plugins));
    EXPECT_TRUE(says("belongs to the program")) << spork_error();
}

TEST_F(Import, RefusesAPathWithoutAnEnd)
{
    std::memset(plugins.path, 'x', sizeof plugins.path);
    EXPECT_EQ(SPORK_BAD_MESSAGE, import(plugins));
    EXPECT_TRUE(says("path is damaged")) << spork_error();
}

TEST_F(Import, RefusesAPathWhereNothingIs)
{
    plugins.identity[0] ^= 1; // so that it is not found among the loaded
    for (const char *path : {"", "no/such/file", "\xff\xfe", "."}) {
        std::memset(plugins.path, 0, sizeof plugins.path);
        std::strcpy(plugins.path, path);
        EXPECT_NE(SPORK_OK, import(plugins)) << path;
        EXPECT_TRUE(says("the target's library * cannot be opened in the child")) << spork_error();
    }
}

TEST_F(Import, RefusesAFileThatIsNoLibrary)
{
    Folder folder;
    fs::path path = folder.path / "text.plugin";
    std::ofstream(path) << "this is not a library\n";
    plugins.identity[0] ^= 1;
    std::memset(plugins.path, 0, sizeof plugins.path);
    std::strcpy(plugins.path, utf8(path).c_str());
    EXPECT_EQ(SPORK_BAD_MESSAGE, import(plugins));
    EXPECT_TRUE(says("text.plugin cannot be opened in the child: *is no ")) << spork_error();
}

// ---- files -----------------------------------------------------------------------------------------------------------

using Identity = std::vector<uint8_t>;

spork_status identity_of(const fs::path &path, Identity *identity)
{
    identity->assign(SPORK__IDENTITY_SIZE, 0);
    return spork__os_image_file_identity(utf8(path).c_str(), identity->data());
}

std::string contents(const fs::path &path)
{
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
}

void write(const fs::path &path, const std::string &bytes)
{
    std::ofstream(path, std::ios::binary | std::ios::trunc) << bytes;
}

// Any answer will do, if it is one.
void expect_an_answer(const fs::path &path, const std::string &bytes, const std::string &what)
{
    Identity identity;
    write(path, bytes);
    spork_status status = identity_of(path, &identity);
    EXPECT_TRUE(status == SPORK_OK || status == SPORK_BAD_MESSAGE) << what << ": " << spork_status_name(status);
    EXPECT_TRUE(status == SPORK_OK || says("is no ")) << what << ": " << spork_error();
}

TEST(File, HasTheIdentityOfTheLoadedImage)
{
    for (const char *name : {"image_plugin.plugin", "image_plugin_hashed.plugin"}) {
        Library plugin(beside(name));
        spork__os_image image;
        Identity identity;
        ASSERT_EQ(SPORK_OK, spork__os_image_of(address_of(plugin.target), true, &image));
        ASSERT_EQ(SPORK_OK, identity_of(beside(name), &identity)) << spork_error();
        EXPECT_EQ(Identity(image.identity, image.identity + SPORK__IDENTITY_SIZE), identity) << name;
    }
    spork__os_image image;
    Identity identity;
    ASSERT_EQ(SPORK_OK, spork__os_image_of(address_of(images_function), true, &image));
    ASSERT_EQ(SPORK_OK, identity_of(fs::u8path(harness_self()), &identity)) << spork_error();
    EXPECT_EQ(Identity(image.identity, image.identity + SPORK__IDENTITY_SIZE), identity);
}

TEST(File, OfAnotherBuildHasAnotherIdentity)
{
    Identity a, b;
    ASSERT_EQ(SPORK_OK, identity_of(beside("image_plugin.plugin"), &a));
    ASSERT_EQ(SPORK_OK, identity_of(beside("image_plugin_rebuilt.plugin"), &b));
    EXPECT_NE(a, b);
    ASSERT_EQ(SPORK_OK, identity_of(beside("image_plugin_hashed.plugin"), &a));
    ASSERT_EQ(SPORK_OK, identity_of(beside("image_plugin_hashed_rebuilt.plugin"), &b));
    EXPECT_NE(a, b);
}

TEST(File, ThatIsNotThereOrNoImageIsRefused)
{
    Folder folder;
    Identity identity;
    EXPECT_EQ(SPORK_NOT_FOUND, identity_of(folder.path / "nothing", &identity));
    EXPECT_TRUE(says("nothing")) << spork_error();
    EXPECT_NE(SPORK_OK, identity_of(folder.path, &identity)) << "a folder";
    for (const std::string &bytes :
         {std::string(), std::string("x"), std::string("\177ELF"), std::string("MZ"), std::string(100000, '\0'),
          std::string(5000, '\xff'), std::string("#!/bin/sh\n")}) {
        write(folder.path / "file", bytes);
        EXPECT_EQ(SPORK_BAD_MESSAGE, identity_of(folder.path / "file", &identity)) << bytes.size();
        EXPECT_TRUE(says("file is no ")) << spork_error();
    }
}

TEST(File, CutOffAnywhereGivesAnAnswer)
{
    Folder folder;
    for (const char *name : {"image_plugin.plugin", "image_plugin_hashed.plugin"}) {
        std::string whole = contents(beside(name));
        ASSERT_FALSE(whole.empty());
        size_t step = harness_full() ? 8 : 80, big = whole.size() / 25 + 1;
        for (size_t size = 0; size < whole.size(); size += size < 4096 ? step : big)
            expect_an_answer(folder.path / "cut", whole.substr(0, size), "cut at " + std::to_string(size));
    }
}

TEST(File, WithDamagedHeadersGivesAnAnswer)
{
    Folder folder;
    std::mt19937 random(20240608);
    auto below = [&](size_t n) { return static_cast<size_t>(random()) % n; };
    for (const char *name : {"image_plugin.plugin", "image_plugin_hashed.plugin"}) {
        const std::string whole = contents(beside(name));
        for (int round : repeat(1500)) {
            std::string bytes = whole;
            size_t where = 1024; // where the headers are
            std::string what = std::string(name) + " round " + std::to_string(round);
            for (size_t n = 1 + below(4); n > 0; n--) {
                static const unsigned char values[] = {0, 1, 0x7f, 0x80, 0xff, 0xfe};
                size_t at = 6 + below(where), run = 1 + below(8); // the magic stays
                for (size_t i = 0; i < run; i++)
                    bytes[at + i] = static_cast<char>(below(2) != 0 ? values[below(6)] : below(256));
            }
            expect_an_answer(folder.path / "damaged", bytes, what);
        }
    }
}

TEST(File, OfRandomBytesBehindTheMagicGivesAnAnswer)
{
    Folder folder;
    std::mt19937 random(20240609);
    const std::string heads[] = {contents(beside("image_plugin.plugin")).substr(0, 6), "MZ", "\xcf\xfa\xed\xfe"};
    for (int round : repeat(1000)) {
        std::string bytes = heads[static_cast<size_t>(round) % 3];
        for (size_t n = random() % 3000; n > 0; n--) bytes += static_cast<char>(random());
        expect_an_answer(folder.path / "random", bytes, "round " + std::to_string(round));
    }
}

// ---- files that change while a program runs ---------------------------------------------------------------------------

TEST(Changed, LibraryOnDiskIsRefusedInAChildThatWouldHaveToLoadIt)
{
    Folder folder;
    for (const char *name : {"image_plugin", "image_plugin_hashed"}) {
        fs::path path = folder.copy(beside((std::string(name) + ".plugin").c_str()), "changing.plugin");
        fs::path other = folder.copy(beside((std::string(name) + "_rebuilt.plugin").c_str()), "other.plugin");
        Library plugin(path);
        int number = plugin.number();
        ASSERT_TRUE(images_replace(utf8(other).c_str(), utf8(path).c_str()));
        for (spork_start_method method : methods()) {
            if (method == SPORK_FORK) { // it has the parent's memory
                EXPECT_EQ(number, exit_of(plugin.target, method)) << spork_error();
                continue;
            }
            EXPECT_EQ(refused(SPORK_INVALID), exit_of(plugin.target, method)) << name_of(method);
            EXPECT_TRUE(says("changing.plugin was changed on disk")) << name_of(method) << ": " << spork_error();
        }
        plugin.unload();
        std::error_code ignored;
        fs::remove(folder.path / "changing.plugin.old", ignored);
    }
}

TEST(Changed, LibraryThatWasDeletedIsRefusedInAChildThatWouldHaveToLoadIt)
{
    Folder folder;
    fs::path path = folder.copy(beside("image_plugin.plugin"), "deleted.plugin");
    Library plugin(path);
    fs::rename(path, folder.path / "elsewhere.plugin");
    for (spork_start_method method : methods()) {
        if (method == SPORK_FORK) continue;
        EXPECT_EQ(refused(SPORK_INVALID), exit_of(plugin.target, method)) << name_of(method);
        EXPECT_TRUE(says("deleted.plugin*cannot be opened in the child")) << name_of(method) << ": " << spork_error();
    }
}

TEST(Changed, ProgramGoesOnStartingItselfOrIsRefused)
{
    Folder folder("spork-program-"); // the harness' arguments are not for every letter
    for (spork_start_method method : methods()) {
        fs::path path = folder.copy(program("image_default"), "changing.exe");
        fs::path other = folder.copy(program("image_no-build-id"), "other.exe");
        std::string run_path = utf8(path), with = utf8(other), by = std::string("by ") + name_of(method) + ": ";
        const char *arguments[] = {run_path.c_str(), name_of(method), with.c_str(), run_path.c_str(), nullptr};
        harness_program *p = harness_run_program(arguments);
        ASSERT_NE(nullptr, p) << path;
        const char *line = harness_line(p);
        EXPECT_EQ(by + "exit code 42", line != nullptr ? line : "nothing");
        std::string second = (line = harness_line(p)) != nullptr ? line : "nothing";
#ifdef _WIN32 // it is found by its path, where another program is now
        EXPECT_TRUE(
            basics_like(second.c_str(), "SPORK_INVALID *the target belongs to the program *was the file changed"))
            << second;
#else // it is found by a descriptor
        EXPECT_EQ(by + "exit code 42", second);
#endif
        EXPECT_EQ(0, harness_wait(p));
        harness_free(p);
        std::error_code ignored;
        fs::remove(folder.path / "changing.exe.old", ignored);
    }
}

} // namespace
