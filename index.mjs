import cjs from './index.js';

export default cjs;
export const {
  sendfile,
  sendfileSync,
  transfer,
  waitWritable,
  constants,
  support,
  SF_NODISKIO,
  SF_MNOWAIT,
  SF_SYNC,
  SF_USER_READAHEAD,
  SF_NOCACHE,
} = cjs;
