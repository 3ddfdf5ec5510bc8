/* The published vectors: AWS Signature Version 4 test suite, and the examples of the S3 API
 * reference. */
#include "run/sigv4.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define EMPTY "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static const struct sigv4_credentials suite = {
    "AKIDEXAMPLE", "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY", "us-east-1", "service"};
static const struct sigv4_credentials s3 = {
    "AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", "us-east-1", "s3"};

static void check(const struct sigv4_request *request, const struct sigv4_credentials *credentials,
                  const char *date, const char *wanted)
{
    char *value = sigv4_authorize(request, credentials, date);
    assert_string_equal(value, wanted);
    free(value);
}

static void the_suite_is_passed(void **state)
{
    (void)state;
    struct sigv4_request request = {.method = "GET",
                                    .path = "/",
                                    .headers = {{"host", "example.amazonaws.com"}},
                                    .headers_n = 1,
                                    .payload_hash = EMPTY};
    check(&request, &suite, "20150830T123600Z",
          "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
          "SignedHeaders=host;x-amz-date, "
          "Signature=5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31");
    request.query[0] = (struct sigv4_pair){"Param2", "value2"};
    request.query[1] = (struct sigv4_pair){"Param1", "value1"};
    request.query_n = 2;
    check(&request, &suite, "20150830T123600Z",
          "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
          "SignedHeaders=host;x-amz-date, "
          "Signature=b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500");
    request.query_n = 0;
    request.method = "POST";
    check(&request, &suite, "20150830T123600Z",
          "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, "
          "SignedHeaders=host;x-amz-date, "
          "Signature=5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b");
}

static void the_examples_of_s3_are_passed(void **state)
{
    (void)state;
    struct sigv4_request get = {.method = "GET",
                                .path = "/test.txt",
                                .headers = {{"host", "examplebucket.s3.amazonaws.com"},
                                            {"range", "bytes=0-9"},
                                            {"x-amz-content-sha256", EMPTY}},
                                .headers_n = 3,
                                .payload_hash = EMPTY};
    check(&get, &s3, "20130524T000000Z",
          "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, "
          "SignedHeaders=host;range;x-amz-content-sha256;x-amz-date, "
          "Signature=f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
    char hash[SIGV4_HASH_MAX];
    sigv4_hash("Welcome to Amazon S3.", 21, hash);
    struct sigv4_request put = {.method = "PUT",
                                .path = "/test$file.text",
                                .headers = {{"date", "Fri, 24 May 2013 00:00:00 GMT"},
                                            {"host", "examplebucket.s3.amazonaws.com"},
                                            {"x-amz-content-sha256", hash},
                                            {"x-amz-storage-class", "REDUCED_REDUNDANCY"}},
                                .headers_n = 4,
                                .payload_hash = hash};
    check(&put, &s3, "20130524T000000Z",
          "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, "
          "SignedHeaders=date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class, "
          "Signature=98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd");
    struct sigv4_request lifecycle = {
        .method = "GET",
        .path = "/",
        .query = {{"lifecycle", ""}},
        .query_n = 1,
        .headers = {{"host", "examplebucket.s3.amazonaws.com"}, {"x-amz-content-sha256", EMPTY}},
        .headers_n = 2,
        .payload_hash = EMPTY};
    check(&lifecycle, &s3, "20130524T000000Z",
          "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, "
          "SignedHeaders=host;x-amz-content-sha256;x-amz-date, "
          "Signature=fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543");
    lifecycle.query[0] = (struct sigv4_pair){"prefix", "J"};
    lifecycle.query[1] = (struct sigv4_pair){"max-keys", "2"};
    lifecycle.query_n = 2;
    check(&lifecycle, &s3, "20130524T000000Z",
          "AWS4-HMAC-SHA256 Credential=AKIAIOSFODNN7EXAMPLE/20130524/us-east-1/s3/aws4_request, "
          "SignedHeaders=host;x-amz-content-sha256;x-amz-date, "
          "Signature=34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
}

static void dates_and_encodings_are_those_of_aws(void **state)
{
    (void)state;
    char date[SIGV4_DATE_MAX];
    assert_string_equal(sigv4_date(INT64_C(1369353600000), date), "20130524T000000Z");
    char *text = sigv4_encode("/a b/\xc3\xa4+&=~", true);
    assert_string_equal(text, "/a%20b/%C3%A4%2B%26%3D~");
    free(text);
    text = sigv4_encode("a/b", false);
    assert_string_equal(text, "a%2Fb");
    free(text);
}

int main(void)
{
    static const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_suite_is_passed),
        cmocka_unit_test(the_examples_of_s3_are_passed),
        cmocka_unit_test(dates_and_encodings_are_those_of_aws),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
