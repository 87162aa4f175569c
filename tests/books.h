// The books of a process: what is open and allocated before a test must be so after it. And what the library has logged meanwhile.
#ifndef TESTS_BOOKS_H
#define TESTS_BOOKS_H

#include <cstring>
#include <mutex>
#include <string>
#include <vector>

#include "alloc.h"
#include "child.h"

class Books : public testing::Test {
  protected:
    // After what is only opened once has been opened.
    void open_books()
    {
        spork_set_log(SPORK_LOG_WARNING, keep_line, nullptr);
        forget_log();
        blocks_ = spork__allocated();
        descriptors_ = harness_descriptors(nullptr, 0);
    }
    void TearDown() override
    {
        spork_set_log(static_cast<spork_log_level>(0), nullptr, nullptr);
        if (IsSkipped()) return;
        harness_until(balance, this);
        EXPECT_EQ(descriptors_, harness_descriptors(nullptr, 0));
        EXPECT_EQ(blocks_, spork__allocated());
    }
    static size_t logged()
    {
        std::lock_guard<std::mutex> lock(log().lock);
        return log().lines.size();
    }
    static std::string log_text()
    {
        std::lock_guard<std::mutex> lock(log().lock);
        std::string all;
        for (const std::string &line : log().lines) all += line + "\n";
        return all;
    }
    static void forget_log()
    {
        std::lock_guard<std::mutex> lock(log().lock);
        log().lines.clear();
    }

  private:
    struct Log {
        std::mutex lock;
        std::vector<std::string> lines;
    };
    static Log &log()
    {
        static Log kept;
        return kept;
    }
    static void keep_line(spork_log_level, const char *, int, const char *text, void *)
    {
        std::lock_guard<std::mutex> lock(log().lock);
        // A fork beside threads is another story; under ThreadSanitizer there is always one more.
        if (strncmp(text, "fork in a program", 17) != 0) log().lines.emplace_back(text);
    }
    static bool balance(void *user)
    {
        auto *self = static_cast<Books *>(user);
        return harness_descriptors(nullptr, 0) == self->descriptors_ && spork__allocated() == self->blocks_;
    }
    long blocks_ = 0;
    int descriptors_ = 0;
};

#endif
