# sluice_embed(target NAME FILE...): compiles the contents of the files, one
# after the other, into `target` as
#   namespace sluice { extern const std::string_view NAME; }
# at build time. A file must not contain the text `)embed"`.
#
# This file is also the script that writes the C++ source (cmake -P).

if(CMAKE_SCRIPT_MODE_FILE STREQUAL CMAKE_CURRENT_LIST_FILE)
  set(text "")
  foreach(file ${FILES})
    file(READ ${file} content)
    # Source maps are not embedded. A browser's tools would look for them.
    string(REGEX REPLACE "\n(//|/\\*)# sourceMappingURL=[^\n]*" "" content "${content}")
    string(APPEND text "${content}\n")
  endforeach()
  # In a script element, the last two would end the element or hide its end.
  if(text MATCHES "[)]embed\"" OR
     (FILES MATCHES "[.]js" AND text MATCHES "</script|<!--"))
    message(FATAL_ERROR "cannot embed \"${CMAKE_MATCH_0}\" of ${FILES}")
  endif()
  file(WRITE ${OUT} "// Made by tools/charts/embed.cmake.\n"
       "#include <string_view>\n"
       "namespace sluice {\n"
       "extern const std::string_view ${NAME};\n"
       "const std::string_view ${NAME} = R\"embed(${text})embed\";\n"
       "}  // namespace sluice\n")
  return()
endif()

function(sluice_embed target name)
  set(files ${ARGN})
  list(TRANSFORM files PREPEND ${CMAKE_CURRENT_SOURCE_DIR}/ REGEX "^[^/]")
  set(out ${CMAKE_CURRENT_BINARY_DIR}/${name}.cc)
  add_custom_command(OUTPUT ${out}
    COMMAND ${CMAKE_COMMAND} "-DNAME=${name}" "-DOUT=${out}" "-DFILES=${files}"
            -P ${CMAKE_CURRENT_FUNCTION_LIST_FILE}
    DEPENDS ${files} ${CMAKE_CURRENT_FUNCTION_LIST_FILE}
    COMMENT "Embedding ${name}"
    VERBATIM)
  target_sources(${target} PRIVATE ${out})
  # Compiled by itself, so that clang-tidy can leave it out.
  set_source_files_properties(${out}
                              PROPERTIES SKIP_UNITY_BUILD_INCLUSION ON)
endfunction()
