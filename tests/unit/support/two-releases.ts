import { chmodSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

function write(directory: string, files: Readonly<Record<string, string>>): void {
  for (const [path, text] of Object.entries(files)) {
    const folder = path.includes('/') ? path.slice(0, path.lastIndexOf('/')) : '.';
    mkdirSync(join(directory, folder), { recursive: true });
    writeFileSync(Buffer.from(`${directory}/${path}`, 'latin1'), text);
  }
}

/** A release with one of everything. */
export function firstRelease(directory: string): void {
  write(directory, {
    '.gitattributes': '*.crlf eol=crlf\n',
    '.gitignore': 'ignored*\n',
    'same.txt': 'stays\n',
    'changed.txt': 'old\n',
    'lines.crlf': 'one\ntwo\n',
    'mode.sh': '#!/bin/sh\n',
    'deleted.txt': 'goes\n',
    'empty-becomes-full': '',
    'leaves/with/its/folders.txt': 'goes\n',
    'stays/one-goes.txt': 'goes\n',
    'stays/one-stays.txt': 'stays\n',
    'only/one-changes.txt': 'old\n',
    'file-becomes-folder': 'a file\n',
    'folder-becomes-file/a.txt': 'a\n',
    'folder-becomes-file/b/c.txt': 'c\n',
    'folder-becomes-link/a.txt': 'a\n',
    'target/a.txt': 'behind the link\n',
    'file-becomes-link': 'a file\n',
    'two\nlines and "quotes"': 'old\n',
    '\xff\xfe no UTF-8': 'old\n',
    '-rf': 'old\n',
  });
  symlinkSync('same.txt', join(directory, 'link-moves'));
  symlinkSync('same.txt', join(directory, 'link-becomes-file'));
  symlinkSync('target', join(directory, 'link-becomes-folder'));
}

/** What git can do to a release, all of it. */
export function secondRelease(directory: string): void {
  const at = (path: string) => join(directory, path);
  for (const path of [
    'deleted.txt',
    'leaves',
    'stays/one-goes.txt',
    'file-becomes-folder',
    'folder-becomes-file',
    'folder-becomes-link',
    'file-becomes-link',
    'link-moves',
    'link-becomes-file',
    'link-becomes-folder',
  ])
    rmSync(at(path), { recursive: true });
  write(directory, {
    'changed.txt': 'new\n',
    'lines.crlf': 'one\nthree\n',
    'empty-becomes-full': 'full\n',
    'only/one-changes.txt': 'new\n',
    'file-becomes-folder/a/b.txt': 'b\n',
    'folder-becomes-file': 'a file\n',
    'link-becomes-file': 'a file\n',
    'link-becomes-folder/a.txt': 'no longer behind a link\n',
    'added.txt': 'new\n',
    'added/deep/er/file.txt': 'new\n',
    'added/binary': '\0\x01\xff',
    'two\nlines and "quotes"': 'new\n',
    '\xff\xfe no UTF-8': 'new\n',
    'new \xe9\n name': 'new\n',
    '-rf': 'new\n',
  });
  chmodSync(at('mode.sh'), 0o755);
  symlinkSync('target', at('folder-becomes-link'));
  symlinkSync('same.txt', at('file-becomes-link'));
  symlinkSync('changed.txt', at('link-moves'));
  if (readFileSync(at('same.txt'), 'utf8') !== 'stays\n') throw new Error('written through a link');
}
